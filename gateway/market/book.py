"""The order book of one instrument as a taker and a resting order meet it, in price-time priority.

The touch follows a SecondPath, the orders behind it come from a Flow. A touch that is about to give
way is thin and the other thick, so that order flow moves the price (Cont, Kukanov & Stoikov, 2014).
Client trades disturb the book: shares taken leave holes that refill, recent signed flow moves the
mid for a while, and a part of every move stays (Almgren, Thum, Hauptmann & Li, 2005, equations 3
and 4: permanent impact linear, temporary impact a power of 3/5). Everything is a function of the
path, the time and the trades so far, whoever watches; prices are whole cents (`units` a dollar).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor
from typing import NamedTuple

from gateway.market.flow import Flow, Resting
from gateway.market.prints import Prints
from gateway.market.seconds import SecondPath
from gateway.timeline import SECOND, Span

PERMANENT = 0.314
TEMPORARY = 0.142
TEMPORARY_POWER = 0.6
REFILL_SECONDS = 5.0
FLOW_SECONDS = 60.0
LEVELS = 10
LOT = 100
LOOK_BACK = 300  # seconds in which the last trade is looked for
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


class Top(NamedTuple):
    """The touch: prices in cents, sizes in shares."""

    bid: int
    ask: int
    bid_size: int
    ask_size: int


class Trade(NamedTuple):
    """One background trade: when, at what price (cents), shares, and whether a buyer began it."""

    at: int
    price: int
    size: int
    buy: bool


class Day(NamedTuple):
    """The session so far: prices in cents, volume in shares."""

    open: int
    high: int
    low: int
    volume: int


def _boldness(bid_side: bool, near: float) -> float:
    """Return how shy an order may be to stay at a touch; see `Book._outer` for `near`."""
    return 0.35 + 0.65 * (near if bid_side else 1.0 - near)


class Book:
    """One instrument's book through one session.

    `own` are the clients' shown resting orders: (buy, cents, shares).
    """

    def __init__(
        self,
        span: Span,
        path: SecondPath,
        vol: float,
        state: Disturbance,
        units: int = 100,
    ) -> None:
        self.span = span
        self.path = path
        self.state = state
        self.own: list[tuple[bool, int, int]] = []
        self.units = units
        self._vol = vol
        self._day_volume = max(int(path.traded[-1]), 1)
        self._minute_volume = max(self._day_volume / span.minutes, 1.0)
        self._flow = Flow(path.flow_key, path.typical)
        self._prints = Prints(path)
        self._open, self._seconds = span.open, span.seconds
        # A memoryview gives Python's own numbers, several times as fast as an array's scalars.
        self._mids, self._spreads = path.mid.data, path.spread.data
        self._highs, self._lows = path.high.data, path.low.data
        self._traded = path.traded.data
        self._looked: tuple[int, int, float, float] | None = None
        self._touch = (0, 0, 0.0)
        self._ended: tuple[float, float, float] | None = None
        self._ends = (0, 0, 0)

    def _second(self, at: int) -> int:
        """Return `span.second(at)`, without its two calls."""
        second = (at - self._open) // SECOND
        if second < 0:
            return 0
        return second if second < self._seconds else self._seconds

    def mid(self, at: int) -> float:
        """Return the mid in USD, impact included."""
        mid, state = self._mids[self._second(at)], self.state
        if not state.flow:
            return mid * exp(state.permanent) if state.permanent else mid
        elapsed = max(at - state.at, 0) / SECOND
        flow = state.flow * exp(-elapsed / FLOW_SECONDS)
        return mid * exp(state.permanent + self._temporary(flow))

    def _temporary(self, flow: float) -> float:
        if not flow:
            return 0.0
        size = TEMPORARY * self._vol * (abs(flow) / self._minute_volume) ** TEMPORARY_POWER
        return size if flow > 0 else -size

    def _outer(self, at: int) -> tuple[int, int, float]:
        """Return the touch, and in [0, 1) how near the mid is to lifting it by one tick.

        The last answer is kept: both sides, the trades and the depth of a moment ask for it.
        """
        state = self.state
        asked = at, state.at, state.permanent, state.flow
        if asked != self._looked:
            spread = self._spreads[self._second(at)]
            exact = self.mid(at) * self.units - spread / 2 + 0.5
            bid = floor(exact)
            if bid >= 1:
                self._touch = bid, bid + spread, exact - bid
            else:
                self._touch = 1, 1 + spread, 0.0
            self._looked = asked
        return self._touch

    def touch(self, at: int) -> tuple[int, int]:
        """Return the background's best bid and ask in cents, holes by client trades aside."""
        return self._outer(at)[:2]

    def _resting(self, at: int, bid_side: bool, price: int, near: float | None) -> list[Resting]:
        """Return the background's orders at a price; `near` is given at the touch only."""
        orders = self._flow.queue(bid_side, price, at - self.span.open)
        if near is None:
            return orders
        keep = _boldness(bid_side, near)
        return [order for order in orders if order.shy <= keep]

    def _levels(self, at: int, buy: bool, rows: int = LEVELS) -> list[tuple[int, int]]:
        """Return (cents, shares) of the background that a taker (`buy`) meets, best first."""
        bid, ask, near = self._outer(at)
        gone = self._gone(at, buy)
        levels: list[tuple[int, int]] = []
        price, step = (ask, 1) if buy else (bid, -1)
        shares, since = self._flow.shares, at - self._open
        for place in range(LEVELS):
            if price < 1:
                break
            if place:
                size = shares(not buy, price, since)
            else:
                size = self._flow.bold(not buy, price, since, _boldness(not buy, near))
            left, gone = max(size - gone, 0), max(gone - size, 0)
            if left:
                levels.append((price, left))
                if len(levels) == rows:
                    break
            price += step
        if not levels:
            levels.append((max(price, 1), LOT))
        return levels

    def _gone(self, at: int, buy: bool) -> int:
        taken = self.state.taken_ask if buy else self.state.taken_bid
        if not taken:
            return 0
        return floor(taken * exp(-max(at - self.state.at, 0) / SECOND / REFILL_SECONDS))

    def top(self, at: int) -> Top:
        """Return the best bid and offer, clients' shown orders included."""
        state = self.state
        if self.own or state.taken_bid or state.taken_ask:
            bids, asks = self.depth(at, True, 1), self.depth(at, False, 1)
            (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
            return Top(bid, ask, bid_size, ask_size)
        return self._undisturbed(at)

    def _undisturbed(self, at: int) -> Top:
        """Return the touch where no client's order and no hole is in the way."""
        bid, ask, near = self._outer(at)
        flow, since = self._flow, at - self._open
        bid_size = flow.bold(True, bid, since, _boldness(True, near))
        ask_size = flow.bold(False, ask, since, _boldness(False, near))
        if not bid_size:
            ((bid, bid_size),) = self._levels(at, False, 1)
        if not ask_size:
            ((ask, ask_size),) = self._levels(at, True, 1)
        return Top(bid, ask, bid_size, ask_size)

    def depth(self, at: int, buy_side: bool, rows: int) -> list[tuple[int, int]]:
        """Return up to `rows` (cents, shares) of the bids or offers, best first.

        Clients' shown orders are part of it.
        """
        levels = self._levels(at, not buy_side, rows)
        mine = [(price, shown) for side, price, shown in self.own if side == buy_side and shown]
        if not mine:
            return levels
        sizes = dict(levels)
        for price, shown in mine:
            sizes[price] = sizes.get(price, 0) + shown
        return sorted(sizes.items(), reverse=buy_side)[:rows]

    def queue(self, at: int, buy: bool, limit: int) -> list[list[int]]:
        """Return the background's orders before a new one at `limit` cents, oldest first.

        Each is [microseconds since the open at which it is cancelled, shares].
        """
        bid, ask, near = self._outer(at)
        best = bid if buy else ask
        if (limit > best) if buy else (limit < best):
            return []
        orders = self._resting(at, buy, limit, near if limit == best else None)
        gone = self._gone(at, not buy) if limit == best else 0
        queue: list[list[int]] = []
        for order in orders:
            left, gone = max(order.size - gone, 0), max(gone - order.size, 0)
            if left:
                queue.append([order.goes, left])
        return queue

    def trades(self, since: int, until: int) -> list[Trade]:
        """Return the background's trades after `since` and up to `until`, oldest first."""
        first = max((since - self.span.open) // SECOND, 0)
        last = min((until - self.span.open) // SECOND, self.span.seconds - 1)
        return [
            trade
            for second in range(first, last + 1)
            for trade in self._second_trades(second)
            if since < trade.at <= until
        ]

    def _second_trades(self, second: int) -> list[Trade]:
        prints = self._prints.second(second)
        if not prints:
            return []
        start = self._open + second * SECOND
        bid, ask = self.touch(start)
        return [
            Trade(start + offset, ask if buy else bid, size, buy) for offset, size, buy in prints
        ]

    def last(self, at: int) -> tuple[int, int]:
        """Return the price in cents and the shares of the last background trade."""
        second = self._second(at)
        if second == self._seconds:
            return max(round(self.mid(at) * self.units), 1), 100
        for earlier in range(second, max(second - LOOK_BACK, -1), -1):
            if (found := self._last_in(earlier, at)) is not None:
                return found
        return self.touch(at)[0], 100

    def _last_in(self, second: int, at: int) -> tuple[int, int] | None:
        """Return the price and shares of the last trade of a second that is not after `at`."""
        start = self._open + second * SECOND
        found = None
        for one in self._prints.second(second):
            if start + one.offset > at:
                break
            found = one
        if found is None:
            return None
        bid, ask = self.touch(start)
        return (ask if found.buy else bid), found.size

    def traded_range(self, second: int) -> tuple[int, int] | None:
        """Return the lowest and highest trade (cents) of the second that ends at `second`."""
        volume, sold = int(self.path.volume[second]), int(self.path.sold[second])
        if volume <= 0:
            return None
        bid, ask = self.touch(self.span.open + second * SECOND)
        return (bid if sold else ask), (ask if volume > sold else bid)

    def day(self, at: int) -> Day:
        """Return the session's open, high, low and volume so far, at the present impact."""
        second, permanent = self._second(at), self.state.permanent
        asked = permanent, self._highs[second], self._lows[second]
        if asked != self._ended:
            scale = exp(permanent) * self.units
            prices = [max(round(mid * scale), 1) for mid in (self._mids[0], *asked[1:])]
            self._ended, self._ends = asked, (prices[0], prices[1], prices[2])
        return Day(*self._ends, self._traded[second])

    def walk(self, at: int, buy: bool, shares: int, limit: int | None) -> list[tuple[int, int]]:
        """Return the (cents, shares) that an aggressive order would get now, without taking them.

        `limit` is the worst price in cents, None for a market order. Below the ten visible levels
        the book goes on, one tick at a time, with the size of the last.
        """
        fills: list[tuple[int, int]] = []
        bid, ask = self.touch(at)
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

    def press(self, at: int, signed: float) -> None:
        """Move the price as `signed` shares traded at one price do."""
        self.state.decay_to(at)
        self._press(signed)

    def _press(self, signed: float) -> None:
        self.state.flow += signed
        self.state.permanent += PERMANENT * self._vol * signed / self._day_volume * 0.5

    def second_flow(self, second: int, buy: bool) -> int:
        """Return the background volume of one second that trades against resting bids (buy)."""
        sold = int(self.path.sold[second])
        return sold if buy else int(self.path.volume[second]) - sold
