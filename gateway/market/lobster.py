"""A LOBSTER message file and its order book file, played order by order.

LOBSTER (Huang & Polak, 2011) gives, for one stock and one day, every event that changes the book
(seconds after midnight New York; type; order id; shares; price in USD times 10,000; side of the
resting order) and the book after it (ask price, ask shares, bid price, bid shares, level by
level). Types: 1 new order, 2 part of one cancelled, 3 deleted, 4 and 5 executed (5 hidden), 6
cross, 7 halt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gateway.market.barfile import Bars, DayRows
from gateway.market.book import LEVELS, Book, Disturbance, Top, Trade
from gateway.market.randomness import key_of
from gateway.market.replay import Replay
from gateway.market.seconds import SecondPath
from gateway.timeline import SECOND, Span, span_on
from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = re.compile(r"([A-Za-z.]+)_(\d{4}-\d{2}-\d{2})_")
NEW, PART, DELETED, EXECUTED, HIDDEN = 1, 2, 3, 4, 5
NO_PRICE = 9_999_999_999
NEVER = 10**15


@dataclass(frozen=True, slots=True)
class Tape:
    """The events of one day inside its session; every array has one entry an event.

    `at` is microseconds since the open, prices are cents, `side` is 1 where the resting order buys.
    `asks` and `bids` are (events, levels, 2): cents and shares, best first, 0 where there is none.
    """

    symbol: str
    span: Span
    at: NDArray[np.int64]
    kind: NDArray[np.int64]
    order: NDArray[np.int64]
    size: NDArray[np.int64]
    price: NDArray[np.int64]
    side: NDArray[np.int64]
    asks: NDArray[np.int64]
    bids: NDArray[np.int64]


def read_tape(messages: Path, book: Path) -> Tape:
    """Return the events of a pair of files; raise InvalidInput naming the row that is wrong."""
    named = NAME.match(messages.name)
    if named is None:
        raise InvalidInput(
            f"{messages.name} does not begin with SYMBOL_YYYY-MM-DD_, as LOBSTER names its files"
        )
    day = date.fromisoformat(named[2])
    span = span_on(day)
    if span is None:
        raise InvalidInput(f"{messages.name}: the market is closed on {day}")
    events, levels = _table(messages, 6), _table(book, 0)
    if len(events) != len(levels) or levels.shape[1] % 4:
        raise InvalidInput(
            f"{messages.name} has {len(events)} rows and {book.name} {len(levels)} of "
            f"{levels.shape[1]} columns; give the two files of one day, four columns a level"
        )
    if (bad := np.flatnonzero(np.diff(events[:, 0]) < 0)).size:
        raise InvalidInput(f"{messages.name}: row {bad[0] + 2}, column time: it goes back")
    opened = span.open - _midnight(span)
    at = np.round(events[:, 0] * SECOND).astype(np.int64) - opened
    inside = (at >= 0) & (at < span.close - span.open)
    if not inside.any():
        raise InvalidInput(f"{messages.name} has no event inside the session of {day}")
    whole, levels = events[inside].astype(np.int64), levels[inside].astype(np.int64)
    ladder = levels.reshape(len(levels), -1, 4)
    asks, bids = _sides(ladder[:, :, :2]), _sides(ladder[:, :, 2:])
    columns = (whole[:, 1], whole[:, 2], whole[:, 3], _cents(whole[:, 4]), whole[:, 5])
    return Tape(named[1].upper(), span, at[inside], *columns, asks, bids)


def _midnight(span: Span) -> int:
    return span.open - (9 * 60 + 30) * 60 * SECOND


def _table(path: Path, columns: int) -> NDArray[np.float64]:
    import pandas as pd

    try:
        frame = pd.read_csv(path, header=None)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}") from error
    if columns and frame.shape[1] < columns:
        raise InvalidInput(f"{path.name} has {frame.shape[1]} columns; LOBSTER writes {columns}")
    frame = frame.iloc[:, :columns] if columns else frame
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise InvalidInput(
            f"{path.name}: row {row + 1}, column {column + 1}: "
            f"{frame.iloc[row, column]!r} is no number; correct the file"
        )
    return values


def _cents(prices: NDArray[np.int64]) -> NDArray[np.int64]:
    return (prices + 50) // 100


def _sides(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    known = (levels[:, :, 0] > 0) & (levels[:, :, 0] < NO_PRICE)
    return np.stack(
        (np.where(known, _cents(levels[:, :, 0]), 0), np.where(known, levels[:, :, 1], 0)), axis=2
    )


@dataclass(slots=True)
class Life:
    """One recorded order: when it came, what it lost when, and when it was deleted (if it was)."""

    came: int
    size: int
    losses: list[tuple[int, int]] = field(default_factory=list)
    goes: int = NEVER

    def left(self, moment: int) -> int:
        """Return the shares that rest at a moment."""
        if moment < self.came:
            return 0
        return self.size - sum(shares for when, shares in self.losses if when <= moment)


class LobsterBook(Book):
    """The recorded book of one session; client trades make holes in it and move it as elsewhere."""

    def __init__(
        self, tape: Tape, path: SecondPath, vol: float, state: Disturbance, units: int
    ) -> None:
        super().__init__(tape.span, path, vol, state, units)
        self._tape = tape

    def _row(self, at: int) -> int:
        return max(int(np.searchsorted(self._tape.at, at - self.span.open, side="right")) - 1, 0)

    def _moved(self, at: int, cents: int) -> int:
        elapsed = max(at - self.state.at, 0) / SECOND
        flow = self.state.flow * exp(-elapsed / 60.0)
        return round(cents * (exp(self.state.permanent + self._temporary(flow)) - 1.0))

    def _side(self, at: int, bids: bool) -> list[tuple[int, int]]:
        levels = (self._tape.bids if bids else self._tape.asks)[self._row(at)]
        shift = self._moved(at, int(levels[0, 0]))
        return [(price + shift, size) for price, size in levels.tolist() if price and size]

    def mid(self, at: int) -> float:
        """Return the mid in USD, impact included."""
        bid, ask, _ = self._outer(at)
        return (bid + ask) / 2.0 / self.units

    def _outer(self, at: int) -> tuple[int, int, float]:
        bids, asks = self._side(at, True), self._side(at, False)
        bid = bids[0][0] if bids else max(asks[0][0] - 1, 1)
        return bid, asks[0][0] if asks else bid + 1, 0.5

    def _levels(self, at: int, buy: bool, rows: int = LEVELS) -> list[tuple[int, int]]:
        gone = self._gone(at, buy)
        found: list[tuple[int, int]] = []
        for price, size in self._side(at, not buy):
            left, gone = max(size - gone, 0), max(gone - size, 0)
            if left:
                found.append((price, left))
        if not found:
            bid, ask, _ = self._outer(at)
            found.append((ask if buy else bid, 100))
        return found[:rows]

    def _undisturbed(self, at: int) -> Top:
        (bid, bid_size), (ask, ask_size) = (
            self._levels(at, False, 1)[0],
            self._levels(at, True, 1)[0],
        )
        return Top(bid, ask, bid_size, ask_size)

    def queue(self, at: int, buy: bool, limit: int) -> list[list[int]]:
        """Return the recorded orders before a new one at `limit` cents, oldest first.

        Orders that were there before the recording come first, as one that is never cancelled.
        """
        price = limit - self._moved(at, limit)
        size = dict(self._side(at, buy)).get(limit, 0)
        moment, waiting = at - self.span.open, []
        for life in self._lives.get((buy, price), ()):
            left = life.left(moment)
            if left > 0:
                waiting.append([life.goes, left])
        known = sum(shares for _, shares in waiting)
        return [[NEVER, size - known], *waiting] if size > known else waiting

    @cached_property
    def _lives(self) -> dict[tuple[bool, int], list[Life]]:
        """Every recorded order by side and price, oldest first."""
        tape = self._tape
        columns = (tape.at, tape.kind, tape.order, tape.size, tape.price, tape.side)
        orders: dict[int, Life] = {}
        lives: dict[tuple[bool, int], list[Life]] = {}
        for at, kind, order, size, price, side in zip(
            *(values.tolist() for values in columns), strict=True
        ):
            if kind == NEW:
                orders[order] = Life(at, size)
                lives.setdefault((side == 1, price), []).append(orders[order])
            elif kind in {PART, DELETED, EXECUTED} and order in orders:
                orders[order].losses.append((at, size))
                if kind == DELETED:
                    orders[order].goes = at
        return lives

    def _second_trades(self, second: int) -> list[Trade]:
        tape, start = self._tape, second * SECOND
        first, last = np.searchsorted(tape.at, [start, start + SECOND])
        found: list[Trade] = []
        for row in range(int(first), int(last)):
            if tape.kind[row] in {EXECUTED, HIDDEN}:
                at = self.span.open + int(tape.at[row])
                price = int(tape.price[row])
                buy, size = bool(tape.side[row] < 0), int(tape.size[row])
                found.append(Trade(at, price + self._moved(at, price), size, buy))
        return found

    def _last_in(self, second: int, at: int) -> tuple[int, int] | None:
        found = [trade for trade in self._second_trades(second) if trade.at <= at]
        return (found[-1].price, found[-1].size) if found else None


class LobsterReplay(Replay):
    """One recorded day of one stock; later sessions are simulated on from its close."""

    def __init__(self, seed: int, messages: Path, book: Path) -> None:
        self._tape = read_tape(messages, book)
        super().__init__(seed, messages, _minute_bars(self._tape))
        (self._column,) = self._rows
        self._second_path = _second_path(self._tape, key_of(seed, self._tape.symbol, "flow"))

    @property
    def sentence(self) -> str:
        """What is real and what is simulated."""
        tape = self._tape
        return (
            f"{len(tape.at)} order book events of {tape.symbol} on {tape.span.date} are those of "
            f"{self._path.name}, order by order; every later session is simulated from the seed"
        )

    def path(self, column: int, ordinal: int) -> SecondPath | None:
        """Return the recorded day second by second."""
        return self._second_path if (column, ordinal) == (self._column, 0) else None

    def book(self, column: int, span: Span, state: Disturbance, vol: float) -> Book | None:
        """Return the recorded book of its own session."""
        if column != self._column or span != self._tape.span:
            return None
        return LobsterBook(self._tape, self._second_path, vol, state, 100)


def _grid(tape: Tape) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return mids (USD), spreads (cents) by second end, and each trade's second (-1: no trade)."""
    ends = np.arange(tape.span.seconds + 1, dtype=np.int64) * SECOND
    rows = np.maximum(np.searchsorted(tape.at, ends, side="right") - 1, 0)
    bid, ask = tape.bids[rows, 0, 0], tape.asks[rows, 0, 0]
    bid, ask = np.where(bid > 0, bid, ask - 1), np.where(ask > 0, ask, bid + 1)
    traded = np.isin(tape.kind, (EXECUTED, HIDDEN))
    seconds = np.where(traded, tape.at // SECOND + 1, -1)
    return (bid + ask) / 200.0, np.maximum(ask - bid, 1), seconds


def _second_path(tape: Tape, key: int) -> SecondPath:
    mid, spread, seconds = _grid(tape)
    volume, sold = np.zeros(len(mid), dtype=np.int64), np.zeros(len(mid), dtype=np.int64)
    inside = seconds > 0
    np.add.at(volume, seconds[inside], tape.size[inside])
    sales = inside & (tape.side == 1)
    np.add.at(sold, seconds[sales], tape.size[sales])
    typical = max(60.0, float(np.median(tape.size[tape.kind == NEW])) if inside.any() else 100.0)
    high, low = np.maximum.accumulate(mid), np.minimum.accumulate(mid)
    flow_key = key & (1 << 64) - 1
    return SecondPath(flow_key, typical, mid, spread, volume, sold, np.cumsum(volume), high, low)


def _minute_bars(tape: Tape) -> Bars:
    """Return the recorded day as minute bars of its mids, and of the volume that traded."""
    mid, _, seconds = _grid(tape)
    count = tape.span.minutes
    inside = mid[1:].reshape(count, 60)
    opened = mid[:-1].reshape(count, 60)[:, 0]
    volume = np.zeros(count, dtype=np.int64)
    traded = seconds > 0
    np.add.at(volume, (seconds[traded] - 1) // 60, tape.size[traded])
    high = np.maximum(inside.max(axis=1), opened)
    low = np.minimum(inside.min(axis=1), opened)
    minutes = np.arange(count, dtype=np.int64)
    rows = DayRows(minutes, opened, high, low, inside[:, -1], volume)
    return {tape.symbol: {tape.span.date: rows}}
