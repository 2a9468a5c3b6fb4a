"""What the turn from one stretch of the day to the next does to waiting orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.engine.orders import CANCELLED, TIME, Order

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange
    from gateway.engine.matching import Matching


def set_alarms(exchange: Exchange, matching: Matching, order: Order) -> None:
    """Set the alarms of an order that begins or ends at a moment of its own."""

    def wake() -> None:
        if order.is_working and order.waits == TIME and order.starts <= exchange.now:
            order.waits = ""
            matching.place(order)

    def end() -> None:
        if order.is_working and order.ends and order.ends <= exchange.now:
            matching.end(order, CANCELLED, 202, "Order Canceled - reason:")

    if order.starts > exchange.now and not order.algo:
        exchange.alarms.at(order.starts, wake)
    if order.ends > exchange.now:
        exchange.alarms.at(order.ends, end)


def release(exchange: Exchange, matching: Matching, outside: bool) -> None:
    """Work what was held for the open; or, `outside` the session, what may trade then."""
    for order in list(exchange.orders.values()):
        if order.is_working and order.held and (exchange.is_open(order) or not outside):
            order.held = False
            matching.place(order)


def expire(exchange: Exchange, matching: Matching, outside: bool) -> None:
    """End the day's orders: at the close, or (those for `outside` too) after after-market."""
    session = exchange.span.date
    for order in list(exchange.orders.values()):
        if not order.is_working or order.expires is None:
            continue
        past = order.expires < session if outside else order.expires <= session
        if past and (outside or not order.outside):
            matching.end(order, CANCELLED, 202, "Order Canceled - reason:")
