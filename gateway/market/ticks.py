"""The tape: every trade and every quote of a session, second by second, from the same paths.

The volume of a second trades in a few prints on each side of the market; quotes change once a
second. Live tick-by-tick data and historical ticks are both read from here, so that they agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

from gateway.market.universe import INSTRUMENTS
from gateway.market.view import FOREX_SIZE, impact_scale
from gateway.timeline import SECOND

if TYPE_CHECKING:
    from gateway.market.market import Market
    from gateway.market.seconds import SecondPath
    from gateway.timeline import Span

PRINTS = 3  # on each side of one second, at most


@dataclass(frozen=True, slots=True)
class Trade:
    """One print: seconds since 1970, price in 10**-digits, shares."""

    at: int
    price: int
    size: int


@dataclass(frozen=True, slots=True)
class BidAsk:
    """One quote: seconds since 1970, prices in 10**-digits, sizes in shares."""

    at: int
    bid: int
    ask: int
    bid_size: int
    ask_size: int


class Tape:
    """One instrument's session as ticks; a second is counted from the open, from 1 to the last."""

    def __init__(self, market: Market, column: int, span: Span) -> None:
        self._market = market
        self._column = column
        self.span = span
        instrument = INSTRUMENTS[column]
        self.digits = instrument.digits
        self._scale = 10**self.digits
        self._step = round(float(instrument.tick) * self._scale)
        self._sizes = FOREX_SIZE if instrument.sec_type == "CASH" else 1

    @property
    def path(self) -> SecondPath:
        """The market of the session, undisturbed."""
        return self._market.path(self._column, self._market.closes.ordinal(self.span.date))

    def quote(self, second: int) -> BidAsk:
        """Return the quote at the end of a second."""
        path = self.path
        at = self.span.open + second * SECOND
        spread = int(path.spread[second])
        mid = float(path.mid[second]) * impact_scale(self._market, self._column, at)
        bid = max(floor(mid * self._scale / self._step - spread / 2 + 0.5), 1)
        return BidAsk(
            at // SECOND,
            bid * self._step,
            (bid + spread) * self._step,
            int(path.bid_size[second]) * self._sizes,
            int(path.ask_size[second]) * self._sizes,
        )

    def trades(self, second: int) -> list[Trade]:
        """Return the prints of a second, in order; the last is on the side that traded last."""
        path = self.path
        total, sold = int(path.volume[second]), int(path.sold[second])
        if not total:
            return []
        quote = self.quote(second)
        sides = [(quote.bid, sold), (quote.ask, total - sold)]
        if path.last_is_bid[second]:
            sides.reverse()
        return [Trade(quote.at, price, size) for price, shares in sides for size in _prints(shares)]

    def quotes(self, seconds: range) -> Iterator[BidAsk]:
        """Return the quotes that differ from the one before, over a range of seconds."""
        before: BidAsk | None = None
        for second in seconds:
            quote = self.quote(second)
            if before is None or _shown(quote) != _shown(before):
                yield quote
            before = quote


def _shown(quote: BidAsk) -> tuple[int, int, int, int]:
    return quote.bid, quote.ask, quote.bid_size, quote.ask_size


def _prints(shares: int) -> list[int]:
    """Split shares into round lots and a rest, at most `PRINTS` of them."""
    if shares <= 0:
        return []
    count = min(1 + shares // 100 % PRINTS, PRINTS)
    lot = shares // count // 100 * 100
    if count == 1 or lot == 0:
        return [shares]
    return [lot] * (count - 1) + [shares - lot * (count - 1)]
