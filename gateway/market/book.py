"""The order book of one instrument as a taker and a resting order meet it.

The undisturbed book comes from a SecondPath. Client trades disturb it: shares taken leave holes
that refill, recent signed flow moves the mid for a while, and a part of every move stays (Almgren,
Thum, Hauptmann & Li, 2005, equations 3 and 4: permanent impact linear, temporary impact a power of
3/5). Everything is a function of the path, the time and the trades so far; prices are whole cents.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor

from gateway.market.seconds import LEVELS, SecondPath
from gateway.timeline import SECOND, Span

PERMANENT = 0.314
TEMPORARY = 0.142
TEMPORARY_POWER = 0.6
REFILL_SECONDS = 5.0
FLOW_SECONDS = 60.0
ENDLESS = 10**12
DEEPEST = 500  # levels below the touch that a taker can reach


@dataclass(slots=True)
class Disturbance:
    """What client trades have done to one book, as of the moment `at` (microseconds).

    `permanent` is a log price offset that stays; `flow` is signed recent shares; `taken_bid` and
    `taken_ask` are shares missing from each side.
    """

    at: int = 0
    permanent: float = 0.0
    flow: float = 0.0
    taken_bid: float = 0.0
    taken_ask: float = 0.0

    def decay_to(self, at: int) -> None:
        """Let holes refill and the temporary impact fade up to `at`."""
        if at <= self.at:
            return
        elapsed = (at - self.at) / SECOND
        refill = exp(-elapsed / REFILL_SECONDS)
        self.flow *= exp(-elapsed / FLOW_SECONDS)
        self.taken_bid *= refill
        self.taken_ask *= refill
        self.at = at


@dataclass(frozen=True, slots=True)
class Top:
    """The touch: prices in cents, sizes in shares."""

    bid: int
    ask: int
    bid_size: int
    ask_size: int


@dataclass(frozen=True, slots=True)
class Day:
    """The session so far: prices in cents, volume in shares."""

    open: int
    high: int
    low: int
    volume: int


class Book:
    """One instrument's book through one session."""

    def __init__(self, span: Span, path: SecondPath, vol: float, state: Disturbance) -> None:
        self.span = span
        self.path = path
        self.state = state
        self._vol = vol
        self._day_volume = max(int(path.traded[-1]), 1)
        self._minute_volume = max(self._day_volume / span.minutes, 1.0)

    def mid(self, at: int) -> float:
        """Return the mid in USD, impact included."""
        second = self.span.second(at)
        elapsed = max(at - self.state.at, 0) / SECOND
        flow = self.state.flow * exp(-elapsed / FLOW_SECONDS)
        return float(self.path.mid[second]) * exp(self.state.permanent + self._temporary(flow))

    def _temporary(self, flow: float) -> float:
        size = TEMPORARY * self._vol * (abs(flow) / self._minute_volume) ** TEMPORARY_POWER
        return size if flow > 0 else -size

    def _outer(self, at: int) -> tuple[int, int]:
        spread = int(self.path.spread[self.span.second(at)])
        bid = max(floor(self.mid(at) * 100.0 - spread / 2 + 0.5), 1)
        return bid, bid + spread

    def _levels(self, at: int, buy: bool) -> list[tuple[int, int]]:
        bid, ask = self._outer(at)
        sizes = self.path.level_sizes(self.span.second(at), buy)
        gone = self._gone(at, buy)
        levels: list[tuple[int, int]] = []
        for place, size in enumerate(sizes):
            left, gone = max(size - gone, 0), max(gone - size, 0)
            price = ask + place if buy else bid - place
            if left and price > 0:
                levels.append((price, left))
        if not levels:
            price = ask + LEVELS if buy else max(bid - LEVELS, 1)
            levels.append((price, sizes[-1]))
        return levels

    def _gone(self, at: int, buy: bool) -> int:
        elapsed = max(at - self.state.at, 0) / SECOND
        taken = self.state.taken_ask if buy else self.state.taken_bid
        return floor(taken * exp(-elapsed / REFILL_SECONDS))

    def top(self, at: int) -> Top:
        """Return the best bid and offer at a moment inside the session."""
        second = self.span.second(at)
        bid, ask = self._outer(at)
        bid_size, ask_size = int(self.path.bid_size[second]), int(self.path.ask_size[second])
        if (gone := self._gone(at, buy=True)) >= ask_size:
            ask, ask_size = self._levels(at, buy=True)[0]
        else:
            ask_size -= gone
        if (gone := self._gone(at, buy=False)) >= bid_size:
            bid, bid_size = self._levels(at, buy=False)[0]
        else:
            bid_size -= gone
        return Top(bid, ask, bid_size, ask_size)

    def depth(self, at: int, buy_side: bool, rows: int) -> list[tuple[int, int]]:
        """Return up to `rows` (cents, shares) of the resting bids or offers, best first."""
        return self._levels(at, buy=not buy_side)[:rows]

    def last(self, at: int) -> tuple[int, int]:
        """Return the price in cents and the shares of the last background trade."""
        second = self.span.second(at)
        if second == self.span.seconds:
            return max(round(self.mid(at) * 100.0), 1), 100
        bid, ask = self._outer(at)
        size = max(int(self.path.volume[second]) // 4 // 100 * 100, 100)
        return (bid if self.path.last_is_bid[second] else ask), size

    def day(self, at: int) -> Day:
        """Return the session's open, high, low and volume so far, at the present impact."""
        second = self.span.second(at)
        scale = exp(self.state.permanent) * 100.0
        return Day(
            open=max(round(float(self.path.mid[0]) * scale), 1),
            high=max(round(float(self.path.high[second]) * scale), 1),
            low=max(round(float(self.path.low[second]) * scale), 1),
            volume=int(self.path.traded[second]),
        )

    def walk(self, at: int, buy: bool, shares: int, limit: int | None) -> list[tuple[int, int]]:
        """Return the (cents, shares) that an aggressive order would get now, without taking them.

        `limit` is the worst price in cents, None for a market order. Below the ten visible levels
        the book goes on, one tick at a time, with the size of the last.
        """
        fills: list[tuple[int, int]] = []
        bid, ask = self._outer(at)
        if limit is not None and (limit < ask if buy else limit > bid):
            return fills
        levels = self._levels(at, buy)
        tail_price, tail_size = levels[-1]
        tail_size = max(tail_size, 100)
        step = 1 if buy else -1
        for place in range(DEEPEST):
            if place < len(levels):
                price, size = levels[place]
            else:
                price, size = tail_price + step * (place - len(levels) + 1), tail_size
            if price < 1 or (limit is not None and (price > limit if buy else price < limit)):
                break
            got = min(shares, size)
            fills.append((price, got))
            shares -= got
            if shares == 0:
                break
        return fills

    def take(self, at: int, buy: bool, fills: list[tuple[int, int]]) -> None:
        """Disturb the book by an aggressive order that got `fills`."""
        shares = sum(size for _, size in fills)
        self.state.decay_to(at)
        if buy:
            self.state.taken_ask += shares
        else:
            self.state.taken_bid += shares
        self._press(shares if buy else -shares)

    def give(self, at: int, buy: bool, shares: int) -> None:
        """Disturb the book by a resting order that was filled; it presses the price by half."""
        self.state.decay_to(at)
        self._press(0.5 * (shares if buy else -shares))

    def _press(self, signed: float) -> None:
        self.state.flow += signed
        self.state.permanent += PERMANENT * self._vol * signed / self._day_volume * 0.5

    def ahead(self, at: int, buy: bool, limit: int) -> int:
        """Return the shares that stand before a new resting order at `limit` cents."""
        bid, ask = self._outer(at)
        if abs(limit - (bid if buy else ask)) > LEVELS:
            return 0
        for price, size in self._levels(at, buy=not buy):
            if price == limit:
                return size
        return 0

    def touch(self, at: int) -> tuple[int, int]:
        """Return the background's best bid and ask in cents, holes by client trades aside."""
        return self._outer(at)

    def second_flow(self, second: int, buy: bool) -> int:
        """Return the background volume of one second that trades against resting bids (buy)."""
        sold = int(self.path.sold[second])
        return sold if buy else int(self.path.volume[second]) - sold


def reaching(
    touch: tuple[int, int], buy: bool, limit: int, ahead: int, flow: int
) -> tuple[int, int]:
    """Return (shares that reach a resting order within one second, queue left before it).

    `touch` is the best bid and ask at the end of that second and `flow` its volume that trades on
    the order's side. A market that has moved through the limit fills all; at the limit, the queue
    before the order goes first; an order that betters the market is served at once.
    """
    bid, ask = touch
    if (ask <= limit) if buy else (bid >= limit):
        return ENDLESS, 0
    best = bid if buy else ask
    if (limit < best) if buy else (limit > best):
        return 0, ahead
    if limit != best:
        return flow, 0
    return max(flow - ahead, 0), max(ahead - flow, 0)
