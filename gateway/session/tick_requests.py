"""Tick-by-tick data and five-second bars, told from the tape as market time goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, message, tick_quote, tick_trade
from gateway.engine.refusal import Refused
from gateway.market.bars import second_bar
from gateway.market.quoted import quoted_second_bar
from gateway.market.ticks import BidAsk
from gateway.market.universe import INSTRUMENTS
from gateway.market.view import price_text, trading_span
from gateway.session.connection import Connection
from gateway.session.contracts import one_column
from gateway.session.subscriptions import TickStream
from gateway.session.tick_history import fields_of, latest_ticks
from gateway.timeline import SECOND, Span, running_span

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
KINDS = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
BAR_SHOWS = frozenset({"TRADES", "MIDPOINT", "BID", "ASK"})
BAR = 5  # seconds
LATE = 3600 * SECOND  # of market time after its end, an outer stretch is not told any more
MOST_TICKS = 1000


def tick_by_tick(hub: Hub, connection: Connection, values: Values) -> None:
    """Start tick-by-tick data; `count` past ticks go first."""
    request_id, kind, count = values["reqId"], values["tickType"], values["count"]
    column = one_column(values)
    sec_type = INSTRUMENTS[column].sec_type
    if kind not in KINDS or not 0 <= count <= MOST_TICKS:
        raise Refused(321, "Error validating request.-'dA' : cause - Invalid tick-by-tick request")
    if sec_type == "IND" or (sec_type == "CASH" and kind in {"Last", "AllLast"}):
        raise Refused(10189, f"Failed to request tick-by-tick data:No {kind} for {sec_type}")
    if not hub.entitled:
        raise Refused(
            10189,
            "Failed to request tick-by-tick data:No market data permissions for this contract",
        )
    streams = connection.subscriptions.ticks
    if request_id in streams:
        raise Refused(322, "Error processing request.-'dA' : cause - Duplicate ticker id")
    stream = TickStream(request_id, column, kind, hub.now, values["ignoreSize"])
    if count:
        connection.send(latest_ticks(hub, stream, count))
    streams[request_id] = stream


def cancel_tick_by_tick(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop tick-by-tick data; an unknown id is told so."""
    if connection.subscriptions.ticks.pop(values["reqId"], None) is None:
        raise Refused(300, f"Can't find EId with tickerId:{values['reqId']}")


def tell_ticks(hub: Hub, connection: Connection) -> None:
    """Send every tick and every five-second bar up to market time that was not sent yet."""
    subscriptions = connection.subscriptions
    for stream in (*subscriptions.ticks.values(), *subscriptions.live_bars.values()):
        while stream.told < hub.now:
            span = _next_span(hub, stream)
            if span is None:
                stream.told = hub.now
                break
            stream.told = max(stream.told, span.open)
            until = min(hub.now, span.close)
            if stream.kind in KINDS:
                _send_ticks(hub, connection, stream, span, until)
                stream.told = until
            elif not _send_bars(hub, connection, stream, span, until):
                break


def _next_span(hub: Hub, stream: TickStream) -> Span | None:
    """Return the session that still has something to tell, or None when all is told."""
    market = hub.exchange.market
    span = trading_span(market, stream.column, stream.told, stream.outside)
    if span is not None and span.close < hub.now - LATE and span != running_span(stream.told):
        stream.told, span = span.close, None  # a held clock has jumped over it
    if span is None:
        passed = market.last_span(stream.column, hub.now)
        if passed is not None and passed.close > stream.told:
            return passed
        span = trading_span(market, stream.column, hub.now, stream.outside)
    return span


def _send_ticks(
    hub: Hub, connection: Connection, stream: TickStream, span: Span, until: int
) -> None:
    if stream.tape is None or stream.tape.span != span:
        stream.tape = hub.exchange.market.tape(stream.column, span)
    tape, kind, request_id = stream.tape, KINDS[stream.kind], stream.request_id
    if kind <= 2:
        for at, price, size in tape.trades(stream.told, until):
            text = price_text(price, tape.digits)
            connection.send(tick_trade(request_id, kind, at, text, size))
        return
    for second in range(span.second(stream.told) + 1, span.second(until) + 1):
        quote = tape.quote(span.open + second * SECOND)
        shown = _shown(quote, stream)
        if shown != stream.before:
            stream.before = shown
            _send_quote(connection, request_id, kind, quote, tape.digits)


def _shown(quote: BidAsk, stream: TickStream) -> tuple[int, ...]:
    if stream.kind == "MidPoint":
        return (quote.bid + quote.ask,)
    if stream.ignore_size:
        return quote.bid, quote.ask
    return quote.bid, quote.ask, quote.bid_size, quote.ask_size


def _send_quote(
    connection: Connection, request_id: int, kind: int, quote: BidAsk, digits: int
) -> None:
    if kind == 4:
        mid = fields_of(quote, digits, mid=True)
        connection.send(message(Out.TICK_BY_TICK, request_id, kind, quote.at, *mid))
        return
    prices = price_text(quote.bid, digits), price_text(quote.ask, digits)
    connection.send(tick_quote(request_id, quote.at, prices, (quote.bid_size, quote.ask_size)))


def real_time_bars(hub: Hub, connection: Connection, values: Values) -> None:
    """Start five-second bars of trades, midpoints, bids or asks."""
    request_id, show = values["reqId"], values["whatToShow"].upper()
    column = one_column(values)
    sec_type = INSTRUMENTS[column].sec_type
    if values["barSize"] != BAR:
        raise Refused(
            321, "Error validating request.-'bR' : cause - Invalid bar size: only 5 is supported"
        )
    if show not in BAR_SHOWS:
        raise Refused(
            321, f"Error validating request.-'bR' : cause - Invalid whatToShow: {show or '(none)'}"
        )
    if not hub.entitled or (sec_type, show == "TRADES") in {("CASH", True), ("IND", False)}:
        raise Refused(420, "Invalid Real-time Query:No market data permissions for this contract")
    bars = connection.subscriptions.live_bars
    if request_id in bars:
        raise Refused(322, "Error processing request.-'bR' : cause - Duplicate ticker id")
    bars[request_id] = TickStream(request_id, column, show, hub.now, outside=not values["useRTH"])


def cancel_real_time_bars(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop five-second bars; an unknown id is told so."""
    if connection.subscriptions.live_bars.pop(values["reqId"], None) is None:
        raise Refused(300, f"Can't find EId with tickerId:{values['reqId']}")


def _send_bars(
    hub: Hub, connection: Connection, stream: TickStream, span: Span, until: int
) -> bool:
    """Send the bars that have ended; return whether the session has been told to its end."""
    market = hub.exchange.market
    first = -(-span.second(stream.told) // BAR) * BAR
    last = span.second(until) // BAR * BAR
    for start in range(first, last, BAR):
        where = market, stream.column, span, start, start + BAR
        if stream.kind == "TRADES":
            bar = second_bar(*where)
            average = round((bar.high + bar.low + bar.close) / 3.0, 6)
            traded: tuple[float, ...] = (bar.volume, average, max(bar.volume // 150, 1))
        else:
            bar = quoted_second_bar(*where, show=stream.kind)
            traded = (-1, -1, -1)
        cells = bar.open, bar.high, bar.low, bar.close
        at = bar.start // SECOND
        connection.send(message(Out.REAL_TIME_BAR, 3, stream.request_id, at, *cells, *traded))
    stream.told = max(stream.told, span.open + last * SECOND)
    if until == span.close:
        stream.told = until
    return until == span.close


HANDLERS = {
    "reqTickByTickData": tick_by_tick,
    "cancelTickByTickData": cancel_tick_by_tick,
    "reqRealTimeBars": real_time_bars,
    "cancelRealTimeBars": cancel_real_time_bars,
}
