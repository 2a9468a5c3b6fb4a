"""The tape: every trade and every quote of any session, from the book that clients meet.

Live tick-by-tick data and historical ticks are both read from here, so that they agree. Of what
clients did only the lasting move of the price is in it: not their own orders, not the holes that
they made. Quotes are looked at once a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.market.book import Book, Disturbance
from gateway.market.universe import INSTRUMENTS
from gateway.timeline import SECOND

if TYPE_CHECKING:
    from gateway.market.market import Market
    from gateway.timeline import Span

FOREX_SIZE = 10_000  # units of currency for each share of a stock's displayed size


class TradeTick(NamedTuple):
    """One print: seconds since 1970, price in 10**-digits, shares."""

    at: int
    price: int
    size: int


class BidAsk(NamedTuple):
    """One quote: seconds since 1970, prices in 10**-digits, sizes in shares."""

    at: int
    bid: int
    ask: int
    bid_size: int
    ask_size: int


class Tape:
    """One instrument's session as ticks; moments are microseconds.

    What it finds it keeps for a while, in no way that another thread could share.
    """

    def __init__(self, market: Market, column: int, span: Span) -> None:
        instrument = INSTRUMENTS[column]
        self.span = span
        self.digits = instrument.digits
        self._step = 10**self.digits // instrument.units
        self._sizes = FOREX_SIZE if instrument.sec_type == "CASH" else 1
        self._impact = market.impact[column]
        self._book = market.new_book(column, span, Disturbance())
        self._quoted: tuple[int, int, BidAsk] | None = None

    def _seen_at(self, at: int) -> Book:
        if self._impact.at:
            self._book.state.permanent = self._impact.offset_at(at)
        return self._book

    def quote(self, at: int) -> BidAsk:
        """Return the quote at a moment."""
        steps = len(self._impact.at)
        if self._quoted is not None and self._quoted[:2] == (at, steps):
            return self._quoted[2]
        quote = self._quote(at)
        self._quoted = at, steps, quote
        return quote

    def _quote(self, at: int) -> BidAsk:
        top = self._seen_at(at).top(at)
        return BidAsk(
            at // SECOND,
            top.bid * self._step,
            top.ask * self._step,
            top.bid_size * self._sizes,
            top.ask_size * self._sizes,
        )

    def trades(self, since: int, until: int) -> list[TradeTick]:
        """Return the prints after `since` and up to `until`, in order."""
        found: list[TradeTick] = []
        start, step = since, self._step
        while start < until:
            end = min(start - (start - self.span.open) % SECOND + SECOND, until)
            for at, price, size, _ in self._seen_at(start).trades(start, end):
                found.append(TradeTick(at // SECOND, price * step, size))
            start = end
        return found

    def last(self, at: int) -> tuple[int, int]:
        """Return the price and the shares of the last trade."""
        price, size = self._seen_at(at).last(at)
        return price * self._step, size

    def extremes(self, at: int) -> tuple[int, int, int, int]:
        """Return the session's open, high, low (10**-digits) and volume so far."""
        day = self._seen_at(at).day(at)
        return day.open * self._step, day.high * self._step, day.low * self._step, day.volume

    def level(self, at: int) -> int:
        """Return the mid in 10**-digits, on the tick."""
        book = self._seen_at(at)
        return max(round(book.mid(at) * book.units), 1) * self._step
