"""What one instrument looks like at one moment, whatever kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor
from typing import TYPE_CHECKING

from gateway.market.universe import INSTRUMENTS
from gateway.timeline import Span, forex_span, new_york

if TYPE_CHECKING:
    from gateway.market.market import Market

FOREX_SIZE = 10_000  # units of currency for each share of a stock's displayed size


@dataclass(frozen=True, slots=True)
class Quote:
    """Prices as whole units of 10**-digits, sizes in shares; None where there is no such thing."""

    digits: int
    bid: int | None
    ask: int | None
    bid_size: int
    ask_size: int
    last: int | None
    last_size: int
    open: int
    high: int
    low: int
    volume: int

    @property
    def mid(self) -> int:
        """The middle of the market, or the last price where nothing is quoted."""
        if self.bid is None or self.ask is None:
            return self.last or 0
        return (self.bid + self.ask) // 2


def price_text(value: int, digits: int) -> str:
    """Write a whole number of 10**-digits as a decimal, exactly."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    scale = 10**digits
    return f"{sign}{value // scale}.{value % scale:0{digits}d}"


def trading_span(market: Market, column: int, at: int) -> Span | None:
    """Return the session of an instrument that runs at a moment, or None."""
    if INSTRUMENTS[column].sec_type != "CASH":
        span = market.span_running(at)
        return span
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
    high, low = max(day.high, last), min(day.low, last)
    sides = top.bid, top.ask, top.bid_size, top.ask_size
    return Quote(2, *sides, last, size, day.open, high, low, day.volume)


def past_quote(market: Market, column: int, span: Span, at: int) -> Quote:
    """Return what was quoted at any moment of any session; no bid for an index, no last for forex.

    Client trades count by the price move that they left, not by the holes that they made.
    """
    instrument = INSTRUMENTS[column]
    path = market.path(column, market.closes.ordinal(span.date))
    second, digits = span.second(at), instrument.digits
    scale = 10**digits
    step = round(float(instrument.tick) * scale)
    moved = impact_scale(market, column, at)

    def whole(price: float) -> int:
        return max(round(price * moved * scale / step), 1) * step

    extremes = whole(path.mid[0]), whole(path.high[second]), whole(path.low[second])
    volume = int(path.traded[second])
    if instrument.sec_type == "IND":
        return Quote(digits, None, None, 0, 0, whole(float(path.mid[second])), 0, *extremes, 0)
    spread = int(path.spread[second])
    bid = max(floor(float(path.mid[second]) * moved * scale / step - spread / 2 + 0.5), 1) * step
    ask, sizes = bid + spread * step, (int(path.bid_size[second]), int(path.ask_size[second]))
    if instrument.sec_type == "CASH":
        sizes = sizes[0] * FOREX_SIZE, sizes[1] * FOREX_SIZE
        return Quote(digits, bid, ask, *sizes, None, 0, *extremes, 0)
    last = bid if path.last_is_bid[second] else ask
    size = max(int(path.volume[second]) // 4 // 100 * 100, 100)
    return Quote(digits, bid, ask, *sizes, last, size, *extremes, volume)


def impact_scale(market: Market, column: int, at: int) -> float:
    """Return the factor by which clients have moved an instrument's price at a moment."""
    return exp(market.impact[column].offset_at(at))
