"""Market depth: ten levels a side, told as inserts, updates and deletes of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.codec.messages import depth_l2, depth_row
from gateway.engine.refusal import Refused
from gateway.market.book import LEVELS
from gateway.market.universe import INSTRUMENTS
from gateway.market.view import price_text
from gateway.session.connection import Connection
from gateway.session.contracts import one_column
from gateway.session.refusals import NO_DEPTH
from gateway.session.subscriptions import DepthRows, Row
from gateway.session.venues import draw, venue_at

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
Levels = dict[tuple[int, int, int], list[Row]]  # by column, side and number of rows
INSERT, UPDATE, DELETE = 0, 1, 2
BY_MARKET_MAKER = frozenset({"SMART", "NASDAQ", "ISLAND"})
MARKET_MAKERS = ("SIMA", "SIMB", "SIMC", "SIMD", "SIME", "SIMF", "NSDQ")  # but for one, ours
RESET = (
    "Market depth data has been RESET. Please empty deep book contents before applying any new "
    "entries."
)


def market_depth(hub: Hub, connection: Connection, values: Values) -> None:
    """Start the depth of one instrument."""
    request_id, column = values["reqId"], one_column(values)
    if request_id in connection.subscriptions.depth:
        raise Refused(322, "Error processing request.-'bW' : cause - Duplicate ticker id")
    if INSTRUMENTS[column].sec_type != "STK":
        raise Refused(*NO_DEPTH)
    if values["numRows"] <= 0:
        raise Refused(321, "Error validating request.-'bW' : cause - Invalid number of rows")
    depth = DepthRows(
        request_id=request_id,
        column=column,
        rows=min(values["numRows"], LEVELS),
        smart=values["smart"],
        named=values["smart"] or values["exchange"].upper() in BY_MARKET_MAKER,
    )
    connection.subscriptions.depth[request_id] = depth
    _send_changes(hub, connection, depth, {})


def cancel_depth(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop the depth of one instrument."""
    if connection.subscriptions.depth.pop(values["reqId"], None) is None:
        raise Refused(
            310, f"Can't find the subscribed market depth with tickerId:{values['reqId']}"
        )


def tell_depth(
    hub: Hub, connection: Connection, seen: Levels, columns: set[int] | None = None
) -> None:
    """Send what has changed of every book that the client follows; `columns` names some.

    `seen` holds the levels of this moment that were looked up for another client.
    """
    for depth in connection.subscriptions.depth.values():
        if columns is None or depth.column in columns:
            _send_changes(hub, connection, depth, seen)


def _send_changes(hub: Hub, connection: Connection, depth: DepthRows, seen: Levels) -> None:
    exchange = hub.exchange
    live = exchange.hours.live
    if live is None or depth.column in exchange.halted:
        return
    if depth.span is not None and depth.span != live:
        connection.error(depth.request_id, 317, RESET)
        depth.bids, depth.asks = [], []
    depth.span = live
    book = exchange.book_in(depth.column, live)
    for side, before in ((1, depth.bids), (0, depth.asks)):
        key = depth.column, side, depth.rows
        now = seen.get(key)
        if now is None:
            now = seen[key] = book.depth(hub.now, side == 1, depth.rows)
        for told in changed_rows(before, now):
            _send_row(connection, depth, side, told)
        before[:] = now


def changed_rows(before: list[Row], now: list[Row]) -> list[tuple[int, int, Row]]:
    """Return (position, operation, row) that turn one side's rows into others, in order.

    Rows are inserted and deleted at the end only, and updated in place: that means the same to
    clients that shift rows at an insert (ibapi's samples, ib_insync) and to those that overwrite
    the position (ib_async).
    """
    told: list[tuple[int, int, Row]] = []
    for place, row in enumerate(now):
        if place >= len(before):
            told.append((place, INSERT, row))
        elif before[place] != row:
            told.append((place, UPDATE, row))
    for place in range(len(before) - 1, len(now) - 1, -1):
        told.append((place, DELETE, (before[place][0], 0)))
    return told


def maker_of(depth: DepthRows, side: int, price: int) -> str:
    """Return who quotes a row: an exchange in SMART depth, a market maker on NASDAQ."""
    if depth.smart:
        return venue_at(depth.column, side, price)
    return MARKET_MAKERS[draw(depth.column, side, price) % len(MARKET_MAKERS)]


def _send_row(
    connection: Connection, depth: DepthRows, side: int, told: tuple[int, int, Row]
) -> None:
    place, operation, (price, size) = told
    figures = operation, side, price_text(price, 2), size
    if depth.named:
        maker = maker_of(depth, side, price)
        connection.send(depth_l2(depth.request_id, place, maker, figures, depth.smart))
    else:
        connection.send(depth_row(depth.request_id, place, figures))


HANDLERS = {"reqMktDepth": market_depth, "cancelMktDepth": cancel_depth}
