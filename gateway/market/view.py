"""What one instrument looks like at one moment, whatever kind it is."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from gateway.market.universe import INSTRUMENTS
from gateway.timeline import Span, forex_span, new_york, running_span, running_stretch, span_on

if TYPE_CHECKING:
    from gateway.market.market import Market


class Quote(NamedTuple):
    """Prices as whole units of 10**-digits, sizes in shares; None where there is no such thing.

    Open, high and low are the session's, None before it; volume counts after-market trades too.
    """

    digits: int
    bid: int | None
    ask: int | None
    bid_size: int
    ask_size: int
    last: int | None
    last_size: int
    open: int | None
    high: int | None
    low: int | None
    volume: int

    @property
    def mid(self) -> int:
        """The middle of the market, or the last price where nothing is quoted."""
        if self.bid is None or self.ask is None:
            return self.last or 0
        return (self.bid + self.ask) // 2


@lru_cache(maxsize=1 << 16)
def price_text(value: int, digits: int) -> str:
    """Write a whole number of 10**-digits as a decimal, exactly.

    Kept, because prices come back: the same tick for every client, the same level all day.
    """
    sign, value = ("-", -value) if value < 0 else ("", value)
    scale = 10**digits
    return f"{sign}{value // scale}.{value % scale:0{digits}d}"


def trading_span(market: Market, column: int, at: int, outside: bool = True) -> Span | None:
    """Return the session of an instrument that runs at a moment, or None.

    For stocks `outside` lets it be pre- or after-market trading as well.
    """
    kind = INSTRUMENTS[column].sec_type
    if kind != "CASH":
        return running_stretch(at) if outside and kind == "STK" else running_span(at)
    local = new_york(at)
    day = local.date()
    for ordinal in (market.ordinals_before(day) - 1, market.ordinals_before(day)):
        if 0 <= ordinal < len(market.closes.dates):
            span = forex_span(market.closes.dates[ordinal])
            if span.open <= at < span.close:
                return span
    return None


def quote_at(market: Market, column: int, span: Span, at: int) -> Quote:
    """Return the quote of an instrument at the present moment of its session."""
    if INSTRUMENTS[column].sec_type == "STK":
        return _from_book(market, column, span, at)
    return past_quote(market, column, span, at)


def _from_book(market: Market, column: int, span: Span, at: int) -> Quote:
    book = market.book_of(column, span)
    top, day = book.top(at), book.day(at)
    last, size = book.last(at)
    sides = top.bid, top.ask, top.bid_size, top.ask_size
    ends = _ends(market, column, span, (day.open, day.high, day.low, day.volume), last)
    return Quote(2, *sides, last, size, *ends)


Ends = tuple[int | None, int | None, int | None, int]


def _ends(
    market: Market, column: int, span: Span, seen: tuple[int, int, int, int], last: int
) -> Ends:
    """Return open, high, low and volume of the day; `seen` is what the running stretch has had."""
    opened, high, low, volume = seen
    regular = span_on(span.date)
    if regular is None or span == regular:
        return opened, max(high, last), min(low, last), volume
    if span.open < regular.open:
        return None, None, None, volume
    opened, high, low, traded = market.tape(column, regular).extremes(regular.close)
    return opened, high, low, traded + volume


def past_quote(market: Market, column: int, span: Span, at: int) -> Quote:
    """Return what was quoted at any moment of any session; no bid for an index, no last for forex.

    Client trades count by the price move that they left, not by the holes that they made. To be
    called on the event loop, whose tapes it reads.
    """
    tape, kind = market.tape(column, span), INSTRUMENTS[column].sec_type
    opened, high, low, volume = tape.extremes(at)
    if kind == "IND":
        last = tape.level(at)
        ends = opened, max(high, last), min(low, last)
        return Quote(tape.digits, None, None, 0, 0, last, 0, *ends, 0)
    quote = tape.quote(at)
    sides = quote.bid, quote.ask, quote.bid_size, quote.ask_size
    if kind == "CASH":
        return Quote(tape.digits, *sides, None, 0, opened, high, low, 0)
    last, size = tape.last(at)
    ends = _ends(market, column, span, (opened, high, low, volume), last)
    return Quote(tape.digits, *sides, last, size, *ends)
