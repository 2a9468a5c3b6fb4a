"""Top-of-book market data: live, frozen and delayed, conflated to what changed, and snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, message, tick_price, tick_size, tick_string
from gateway.engine.refusal import Refused
from gateway.market.universe import INSTRUMENTS
from gateway.market.view import (
    Quote,
    past_quote,
    price_text,
    quote_at,
    trading_span,
)
from gateway.session import generic_ticks
from gateway.session.connection import Connection
from gateway.session.contracts import one_column
from gateway.session.subscriptions import Quotes
from gateway.session.venues import LETTERS, TAPE, letters_at
from gateway.timeline import SECOND

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
Seen = dict[tuple[int, bool], Quote]  # by column, and whether it is live
BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE = 0, 1, 2, 3, 4, 5
HIGH, LOW, VOLUME, CLOSE, OPEN, LAST_TIMESTAMP, HALTED = 6, 7, 8, 9, 14, 45, 49
BID_VENUES, ASK_VENUES, LAST_VENUE = 32, 33, 84
DELAYED = {
    **{BID: 66, ASK: 67, LAST: 68, BID_SIZE: 69, ASK_SIZE: 70, LAST_SIZE: 71, HIGH: 72, LOW: 73},
    **{VOLUME: 74, CLOSE: 75, OPEN: 76, LAST_TIMESTAMP: 88, HALTED: 90},
}
DELAY = 900 * SECOND
SAMPLE = 250_000  # microseconds of market time between two updates of one instrument
SNAPSHOT_EXCHANGE = "a6"
NOT_SUBSCRIBED = (
    "Requested market data is not subscribed. Check API status by selecting the Account menu then "
    "under Management choose Market Data Subscription Manager and/or availability of delayed data."
)
SHOWING_DELAYED = "Requested market data is not subscribed. Displaying delayed market data."


def market_data(hub: Hub, connection: Connection, values: Values) -> None:
    """Start top-of-book data of one instrument, or send a snapshot of it."""
    request_id = values["reqId"]
    column = one_column(values)
    subscriptions = connection.subscriptions
    if request_id in subscriptions.quotes:
        raise Refused(322, "Error processing request.-'bW' : cause - Duplicate ticker id")
    instrument = INSTRUMENTS[column]
    generic = generic_ticks.read_list(values["genericTickList"], instrument)
    snapshot = values["snapshot"] or values["regulatorySnapshot"]
    if snapshot and generic:
        raise Refused(
            321,
            "Error validating request.-'bW' : cause - Snapshot market data subscription is not "
            "applicable to generic ticks",
        )
    quotes = Quotes(request_id, column, _kind(hub, connection, column, request_id), generic)
    connection.send(message(Out.TICK_REQ_PARAMS, request_id, instrument.tick, SNAPSHOT_EXCHANGE, 3))
    connection.send(message(Out.MARKET_DATA_TYPE, 1, request_id, quotes.kind))
    _send_static(hub, connection, quotes)
    _send_changes(hub, connection, quotes, {})
    if snapshot:
        connection.send(message(Out.TICK_SNAPSHOT_END, 1, request_id))
        return
    subscriptions.quotes[request_id] = quotes
    if generic_ticks.SLOW & generic:
        hub.spawn(connection, values, generic_ticks.send_statistics(hub, connection, quotes))


def _kind(hub: Hub, connection: Connection, column: int, request_id: int) -> int:
    """Return which type of data a request gets, by what the account may see and what it asked."""
    wanted = connection.subscriptions.data_type
    if hub.entitled:
        closed = trading_span(hub.exchange.market, column, hub.now) is None
        return 2 if wanted in {2, 4} and closed else 1
    if wanted in {1, 2}:
        raise Refused(354, NOT_SUBSCRIBED)
    connection.error(request_id, 10167, SHOWING_DELAYED)
    closed = trading_span(hub.exchange.market, column, hub.now - DELAY) is None
    return 4 if wanted == 4 and closed else 3


def cancel_market_data(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop top-of-book data; an unknown id is told so."""
    if connection.subscriptions.quotes.pop(values["reqId"], None) is None:
        raise Refused(300, f"Can't find EId with tickerId:{values['reqId']}")


def market_data_type(hub: Hub, connection: Connection, values: Values) -> None:
    """Set the wanted type of market data: 1 live, 2 frozen, 3 delayed, 4 delayed frozen."""
    kind = values["marketDataType"]
    if kind not in {1, 2, 3, 4}:
        raise Refused(321, "Error validating request.-'bZ' : cause - Invalid market data type")
    connection.subscriptions.data_type = kind


def tell_quotes(
    hub: Hub,
    connection: Connection,
    seen: Seen,
    columns: set[int] | None = None,
    force: bool = False,
) -> None:
    """Send what has changed of every instrument that the client follows.

    `columns` names instruments that just traded, which are told at once; `force` tells all. `seen`
    holds the quotes of this moment that were looked up for another client.
    """
    for quotes in connection.subscriptions.quotes.values():
        if columns is not None:
            due = quotes.column in columns
        else:
            due = force or quotes.sent_at < 0 or hub.now - quotes.sent_at >= SAMPLE
        if due:
            _send_changes(hub, connection, quotes, seen)


def previous_close(hub: Hub, column: int, at: int) -> str:
    """Return the last close before a moment, as text."""
    if INSTRUMENTS[column].sec_type == "STK":
        return price_text(hub.exchange.closing_mark(column), 2)
    market, span = hub.exchange.market, hub.exchange.market.last_span(column, at)
    if span is None:
        return "0"
    close = market.closes.close(market.closes.ordinal(span.date), column)
    digits = INSTRUMENTS[column].digits
    return price_text(round(close * 10**digits), digits)


def _send_static(hub: Hub, connection: Connection, quotes: Quotes) -> None:
    close = previous_close(hub, quotes.column, hub.now)
    _price(connection, quotes, CLOSE, close)


def _send_changes(hub: Hub, connection: Connection, quotes: Quotes, seen: Seen) -> None:
    market, column = hub.exchange.market, quotes.column
    at = hub.now - DELAY if quotes.kind >= 3 else hub.now
    if at == hub.now and INSTRUMENTS[column].sec_type == "STK":
        span = hub.exchange.hours.live
    else:
        span = trading_span(market, column, at)
    if span is None and quotes.kind in {2, 4}:
        span = market.last_span(column, at)
        if span is not None:
            _send_quote(connection, quotes, past_quote(market, column, span, span.close), at)
        return
    if span is None:
        if quotes.open:
            _send_closed(hub, connection, quotes)
        return
    if quotes.kind in {2, 4}:
        quotes.kind -= 1
        connection.send(message(Out.MARKET_DATA_TYPE, 1, quotes.request_id, quotes.kind))
    quotes.sent_at, quotes.open = hub.now, True
    live = quotes.kind == 1
    quote = seen.get((column, live))
    if quote is None:
        look = quote_at if live else past_quote
        quote = seen[column, live] = look(market, column, span, at)
    _send_halted(hub, connection, quotes)
    _send_quote(connection, quotes, quote, at)
    if quotes.generic:
        generic_ticks.send_changes(hub, connection, quotes, quote, span)


def _send_closed(hub: Hub, connection: Connection, quotes: Quotes) -> None:
    """Say that the book is empty, and what the close was."""
    quotes.sent.clear()
    quotes.open = False
    if INSTRUMENTS[quotes.column].sec_type != "IND":
        for kind in (BID, ASK):
            _price(connection, quotes, kind, "-1")
    _send_static(hub, connection, quotes)


def _send_halted(hub: Hub, connection: Connection, quotes: Quotes) -> None:
    """Say whether trading is halted (1), at the start and when it changes."""
    halted = int(hub.is_halted(quotes.column))
    if quotes.sent.get(HALTED, 0) != halted:
        kind = DELAYED[HALTED] if quotes.kind >= 3 else HALTED
        connection.send(message(Out.TICK_GENERIC, 6, quotes.request_id, kind, halted))
    quotes.sent[HALTED] = halted


def _send_quote(connection: Connection, quotes: Quotes, quote: Quote, at: int) -> None:
    sent, digits = quotes.sent, quote.digits
    for kind, size_kind, venues, price, size in (
        (BID, BID_SIZE, BID_VENUES, quote.bid, quote.bid_size),
        (ASK, ASK_SIZE, ASK_VENUES, quote.ask, quote.ask_size),
    ):
        if price is None:
            continue
        if sent.get(kind) != price:
            sent[kind] = price
            _price(connection, quotes, kind, price_text(price, digits), size)
            if quotes.kind <= 2 and INSTRUMENTS[quotes.column].sec_type == "STK":
                _text(connection, quotes, venues, letters_at(quotes.column, 2 - kind, price))
        if sent.get(size_kind) != size:
            sent[size_kind] = size
            _size(connection, quotes, size_kind, size)
    if quote.last is not None:
        _send_trades(connection, quotes, quote, at)


def _send_trades(connection: Connection, quotes: Quotes, quote: Quote, at: int) -> None:
    sent, digits, price = quotes.sent, quote.digits, quote.last
    assert price is not None
    if sent.get(LAST_SIZE) != (price, quote.last_size):
        sent[LAST_SIZE] = price, quote.last_size
        if sent.get(LAST) != price:
            sent[LAST] = price
            _price(connection, quotes, LAST, price_text(price, digits), quote.last_size)
            if quotes.kind <= 2 and quote.last_size:  # an index has no exchange that it trades on
                _text(connection, quotes, LAST_VENUE, LETTERS[TAPE])
        if quote.last_size:
            _size(connection, quotes, LAST_SIZE, quote.last_size)
    if quote.volume and sent.get(VOLUME) != quote.volume:
        sent[VOLUME] = quote.volume
        kind = DELAYED[LAST_TIMESTAMP] if quotes.kind >= 3 else LAST_TIMESTAMP
        stamp = str(at // SECOND)
        connection.send(tick_string(quotes.request_id, kind, stamp))
        _size(connection, quotes, VOLUME, quote.volume)
    for kind, value in ((HIGH, quote.high), (LOW, quote.low), (OPEN, quote.open)):
        if value is not None and sent.get(kind) != value:
            sent[kind] = value
            _price(connection, quotes, kind, price_text(value, digits))


def _price(connection: Connection, quotes: Quotes, kind: int, text: str, size: int = 0) -> None:
    """Send a price; the mask of a bid or an offer says that orders can be filled at it."""
    mask = 1 if size and kind in {BID, ASK} else 0
    kind = DELAYED[kind] if quotes.kind >= 3 else kind
    connection.send(tick_price(quotes.request_id, kind, text, size, mask))


def _size(connection: Connection, quotes: Quotes, kind: int, size: int) -> None:
    kind = DELAYED[kind] if quotes.kind >= 3 else kind
    connection.send(tick_size(quotes.request_id, kind, size))


def _text(connection: Connection, quotes: Quotes, kind: int, text: str) -> None:
    """Send a text unless it is what was sent last."""
    if quotes.sent.get(kind) != text:
        quotes.sent[kind] = text
        connection.send(tick_string(quotes.request_id, kind, text))


HANDLERS = {
    "reqMktData": market_data,
    "cancelMktData": cancel_market_data,
    "reqMarketDataType": market_data_type,
}
