"""The extra ticks that a client asks for by number beside the top of the book."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from gateway.codec.messages import Out, message
from gateway.engine.refusal import Refused
from gateway.market.universe import Instrument
from gateway.market.view import Quote, price_text
from gateway.session.connection import Connection
from gateway.session.instrument_ticks import ticks_of
from gateway.session.subscriptions import Quotes
from gateway.timeline import Span

if TYPE_CHECKING:
    from gateway.session.hub import Hub

MISC, MARK, MARK_OLD, RT_VOLUME, RT_TRADES, SHORTABLE = 165, 221, 232, 233, 375, 236
HIST_VOL, IMPLIED_VOL, RT_HIST_VOL, DIVIDENDS = 104, 106, 411, 456
TRADE_COUNT, TRADE_RATE, VOLUME_RATE, LAST_RTH, SHORT_TERM = 293, 294, 295, 318, 595
NAMES = {
    100: "Option Volume",
    101: "Option Open Interest",
    HIST_VOL: "Historical Volatility",
    105: "Average Opt Volume",
    IMPLIED_VOL: "impvolat",
    162: "Index Future Premium",
    MISC: "Misc. Stats",
    MARK: "Mark Price",
    225: "Auction",
    MARK_OLD: "Pl Price",
    RT_VOLUME: "RTVolume",
    SHORTABLE: "inventory",
    258: "Fundamentals",
    292: "Wide_news",
    TRADE_COUNT: "TradeCount",
    TRADE_RATE: "TradeRate",
    VOLUME_RATE: "VolumeRate",
    LAST_RTH: "LastRTHTrade",
    RT_TRADES: "RTTrdVolume",
    RT_HIST_VOL: "rtHistVol",
    DIVIDENDS: "IBDividends",
    460: "Bond Factor Multiplier",
    576: "EtfNavBidAsk",
    577: "EtfNavLast",
    578: "EtfNavClose",
    586: "IPOHLC",
    587: "Pl Price Delayed",
    588: "Futures Open Interest",
    SHORT_TERM: "Short-Term Volume X Mins",
    614: "EtfNavMisc",
    619: "Creditman Slow Mark Price",
    623: "EtfNavFrozenLast",
}
NOT_FOR_INDICES = frozenset({SHORTABLE, RT_VOLUME, RT_TRADES, SHORT_TERM})
SLOW = frozenset({MISC, HIST_VOL, IMPLIED_VOL, RT_HIST_VOL})
WEEKS = ((13, 15), (26, 17), (52, 19))  # weeks, tick type of the low; the high is the next one
EASY_TO_BORROW, SHORTABLE_SHARES = 3.0, 5_000_000
YEAR = 252


def read_list(text: str, instrument: Instrument) -> frozenset[int]:
    """Return the asked-for generic ticks; raise Refused 321 for one that does not exist.

    A leading `mdoff` (no top of book) is understood and makes no difference.
    """
    found: set[int] = set()
    for word in text.replace(" ", "").split(","):
        number = word.partition(":")[0]
        if not number or number == "mdoff":
            continue
        if not number.isdigit() or int(number) not in NAMES:
            legal = ",".join(f"{key}({name})" for key, name in sorted(NAMES.items()))
            raise Refused(
                321,
                f"Error validating request.-'bW' : cause - Incorrect generic tick list of {text}. "
                f"Legal ones for ({instrument.sec_type}) are: {legal}",
            )
        found.add(int(number))
    return frozenset(found if instrument.sec_type == "STK" else found - NOT_FOR_INDICES)


def send_changes(
    hub: Hub, connection: Connection, quotes: Quotes, quote: Quote, span: Span
) -> None:
    """Send the extra ticks that move with the market, where they have moved."""
    digits, wanted = quote.digits, quotes.generic
    if wanted & {MARK, MARK_OLD}:
        _tell(connection, quotes, Out.TICK_PRICE, 37, price_text(quote.mid, digits))
    if SHORTABLE in wanted:
        _tell(connection, quotes, Out.TICK_GENERIC, 46, EASY_TO_BORROW)
        _tell(connection, quotes, Out.TICK_SIZE, 89, SHORTABLE_SHARES)
    if DIVIDENDS in wanted:
        _tell(connection, quotes, Out.TICK_STRING, 59, ",,,")
    for out, kind, value in ticks_of(hub, quotes.column, wanted, quote, span):
        _tell(connection, quotes, out, kind, value)
    if quote.last is None or not quote.volume:
        return
    if LAST_RTH in wanted:
        regular = span == hub.exchange.market.hours(quotes.column, _ordinal(hub, span))
        last = quote.last if regular else hub.exchange.closing_mark(quotes.column)
        _tell(connection, quotes, Out.TICK_PRICE, 57, price_text(last, digits))
    for number, kind in ((RT_VOLUME, 48), (RT_TRADES, 77)):
        if number in wanted:
            high, low = quote.high or quote.last, quote.low or quote.last
            average = (high + low + quote.last) / 3.0 / 10**digits
            stamp, price = hub.now // 1000, price_text(quote.last, digits)
            text = f"{price};{quote.last_size};{stamp};{quote.volume};{average:.8f};false"
            if quotes.sent.get(-number) != (quote.last, quote.last_size, quote.volume):
                quotes.sent[-number] = quote.last, quote.last_size, quote.volume
                _tell(connection, quotes, Out.TICK_STRING, kind, text)
    _send_rates(hub, connection, quotes, quote, span)


def _ordinal(hub: Hub, span: Span) -> int:
    return hub.exchange.market.closes.ordinal(span.date)


def _send_rates(hub: Hub, connection: Connection, quotes: Quotes, quote: Quote, span: Span) -> None:
    wanted, seconds = quotes.generic, max(span.second(hub.now), 1)
    trades = max(quote.volume // 150, 1)
    if TRADE_COUNT in wanted:
        _tell(connection, quotes, Out.TICK_GENERIC, 54, trades)
    if TRADE_RATE in wanted:
        _tell(connection, quotes, Out.TICK_GENERIC, 55, round(60.0 * trades / seconds, 1))
    if VOLUME_RATE in wanted:
        _tell(connection, quotes, Out.TICK_GENERIC, 56, round(60.0 * quote.volume / seconds, 1))
    if SHORT_TERM in wanted:
        path = hub.exchange.market.path_in(quotes.column, span)
        for minutes, kind in ((3, 63), (5, 64), (10, 65)):
            before = int(path.traded[max(seconds - 60 * minutes, 0)])
            _tell(connection, quotes, Out.TICK_SIZE, kind, int(path.traded[seconds]) - before)


def _tell(connection: Connection, quotes: Quotes, out: Out, kind: int, value: str | float) -> None:
    """Send one tick unless it is what was sent last."""
    if quotes.sent.get(kind) == value:
        return
    quotes.sent[kind] = value
    rest = (0, 0) if out is Out.TICK_PRICE else ()
    connection.send(message(out, 6, quotes.request_id, kind, value, *rest))


async def send_statistics(hub: Hub, connection: Connection, quotes: Quotes) -> None:
    """Send what is worked out of the daily history: ranges, usual volume, volatilities."""
    statistics = await hub.aside(lambda: _statistics(hub, quotes.column))
    if connection.subscriptions.quotes.get(quotes.request_id) is not quotes or not statistics:
        return
    ranges, volume, realised, implied = statistics
    if MISC in quotes.generic:
        for kind, price in ranges:
            _tell(connection, quotes, Out.TICK_PRICE, kind, price)
        if volume:
            _tell(connection, quotes, Out.TICK_SIZE, 21, volume // 100)
    for number, kind, value in (
        (HIST_VOL, 23, realised),
        (IMPLIED_VOL, 24, implied),
        (RT_HIST_VOL, 58, realised),
    ):
        if number in quotes.generic:
            _tell(connection, quotes, Out.TICK_GENERIC, kind, value)


Statistics = tuple[list[tuple[int, float]], int, float, float]


def _statistics(hub: Hub, column: int) -> Statistics | None:
    """Return ranges by tick type, average daily volume, realised and implied volatility a year."""
    market = hub.exchange.market
    end = market.closes.ordinal(hub.exchange.span.date)
    if end < 2:
        return None
    day = market.closes.dates[end - 1]
    first = market.ordinals_before(day - timedelta(weeks=52))
    rows = market.days(column, first, end)
    ranges: list[tuple[int, float]] = []
    for weeks, kind in WEEKS:
        part = slice(market.ordinals_before(day - timedelta(weeks=weeks)) - first, None)
        ranges += [(kind, float(rows.low[part].min())), (kind + 1, float(rows.high[part].max()))]
    closes = market.closes.column(column, max(end - 31, 0), end)
    realised = float(np.std(np.diff(np.log(closes)))) * YEAR**0.5 if len(closes) > 2 else 0.0
    implied = float(market.closes.vols(column, end - 1, end)[0]) * YEAR**0.5
    return ranges, int(rows.volume[-90:].mean()), round(realised, 6), round(implied, 6)
