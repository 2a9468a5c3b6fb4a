"""Top-of-book market data: streaming, conflated to what changed, and snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, cents, message
from gateway.engine.refusal import Refused
from gateway.market.book import Book
from gateway.market.universe import TICK
from gateway.session.connection import Connection
from gateway.session.contracts import one_column
from gateway.session.subscriptions import Quotes
from gateway.timeline import SECOND

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE = 0, 1, 2, 3, 4, 5
HIGH, LOW, VOLUME, CLOSE, OPEN, LAST_TIMESTAMP = 6, 7, 8, 9, 14, 45
SAMPLE = 250_000  # microseconds of market time between two updates of one instrument
LINES = 100  # market data lines of an account without boosters
SNAPSHOT_EXCHANGE = "a6"


def market_data(hub: Hub, connection: Connection, values: Values) -> None:
    """Start top-of-book data of one instrument, or send a snapshot of it."""
    request_id = values["reqId"]
    column = one_column(values)
    subscriptions = connection.subscriptions
    if request_id in subscriptions.quotes:
        raise Refused(322, "Error processing request.-'bW' : cause - Duplicate ticker id")
    if len(subscriptions.quotes) >= LINES:
        raise Refused(101, "Max number of tickers has been reached")
    snapshot = values["snapshot"] or values["regulatorySnapshot"]
    quotes = Quotes(request_id, column, snapshot, subscriptions.data_type)
    connection.send(message(Out.TICK_REQ_PARAMS, request_id, TICK, SNAPSHOT_EXCHANGE, 3))
    connection.send(message(Out.MARKET_DATA_TYPE, 1, request_id, 1))
    _send_static(hub, connection, quotes)
    _send_changes(hub, connection, quotes)
    if snapshot:
        connection.send(message(Out.TICK_SNAPSHOT_END, 1, request_id))
    else:
        subscriptions.quotes[request_id] = quotes


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
    hub: Hub, connection: Connection, columns: set[int] | None = None, force: bool = False
) -> None:
    """Send what has changed of every instrument that the client follows.

    `columns` names instruments that just traded, which are told at once; `force` tells all.
    """
    for quotes in connection.subscriptions.quotes.values():
        if columns is not None:
            due = quotes.column in columns
        else:
            due = force or quotes.sent_at < 0 or hub.now - quotes.sent_at >= SAMPLE
        if due:
            _send_changes(hub, connection, quotes)


def _send_static(hub: Hub, connection: Connection, quotes: Quotes) -> None:
    close = cents(hub.exchange.closing_mark(quotes.column))
    connection.send(message(Out.TICK_PRICE, 6, quotes.request_id, CLOSE, close, 0, 0))


def _send_changes(hub: Hub, connection: Connection, quotes: Quotes) -> None:
    exchange = hub.exchange
    if not exchange.in_session:
        if quotes.top is not None:
            _send_closed(hub, connection, quotes)
        return
    quotes.sent_at = hub.now
    book = exchange.market.book_of(quotes.column, exchange.span)
    _send_top(hub, connection, quotes, book)
    _send_trades(hub, connection, quotes, book)


def _send_closed(hub: Hub, connection: Connection, quotes: Quotes) -> None:
    """Say that the book is empty, and what the close was."""
    quotes.top = quotes.last = None
    quotes.volume, quotes.high, quotes.low, quotes.opened = -1, 0, 0, 0
    for kind in (BID, ASK):
        connection.send(message(Out.TICK_PRICE, 6, quotes.request_id, kind, "-1", 0, 0))
    _send_static(hub, connection, quotes)


def _send_top(hub: Hub, connection: Connection, quotes: Quotes, book: Book) -> None:
    request_id, before = quotes.request_id, quotes.top
    top = book.top(hub.now)
    quotes.top = top
    for kind, size_kind, price, size, old_price, old_size in (
        (BID, BID_SIZE, top.bid, top.bid_size, before and before.bid, before and before.bid_size),
        (ASK, ASK_SIZE, top.ask, top.ask_size, before and before.ask, before and before.ask_size),
    ):
        if price != old_price:
            connection.send(message(Out.TICK_PRICE, 6, request_id, kind, cents(price), size, 1))
        if size != old_size:
            connection.send(message(Out.TICK_SIZE, 6, request_id, size_kind, size))


def _send_trades(hub: Hub, connection: Connection, quotes: Quotes, book: Book) -> None:
    request_id, day = quotes.request_id, book.day(hub.now)
    price, size = last = book.last(hub.now)
    if last != quotes.last:
        if quotes.last is None or price != quotes.last[0]:
            connection.send(message(Out.TICK_PRICE, 6, request_id, LAST, cents(price), size, 0))
        connection.send(message(Out.TICK_SIZE, 6, request_id, LAST_SIZE, size))
        quotes.last = last
    if day.volume != quotes.volume:
        quotes.volume = day.volume
        stamp = str(hub.now // SECOND)
        connection.send(message(Out.TICK_STRING, 6, request_id, LAST_TIMESTAMP, stamp))
        connection.send(message(Out.TICK_SIZE, 6, request_id, VOLUME, day.volume))
    for kind, name, value in (
        (HIGH, "high", max(day.high, price)),
        (LOW, "low", min(day.low, price)),
        (OPEN, "opened", day.open),
    ):
        if value != getattr(quotes, name):
            setattr(quotes, name, value)
            connection.send(message(Out.TICK_PRICE, 6, request_id, kind, cents(value), 0, 0))


HANDLERS = {
    "reqMktData": market_data,
    "cancelMktData": cancel_market_data,
    "reqMarketDataType": market_data_type,
}
