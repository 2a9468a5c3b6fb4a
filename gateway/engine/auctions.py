"""The opening and the closing auction: market- and limit-on-open and on-close orders, at one price.

An auction's price is the session's first or last, moved by the clients' net order as any trade of
theirs moves the market; a closing auction without them prints the close itself. Its other side is
the background's, so that every order that the price allows is filled; the others are cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.engine.orders import AUCTION, CANCELLED, Order
from gateway.timeline import SECOND

if TYPE_CHECKING:
    from gateway.engine.matching import Matching

CLOSE_CUTOFF = 600 * SECOND  # before the close, from when on-close orders are refused
OPEN_CUTOFF = 120 * SECOND  # before the open, from when on-open orders are for the next one


def run_auction(matching: Matching, which: str) -> None:
    """Hold the `open` or `close` auction of every instrument that a client has an order in."""
    exchange = matching.exchange
    latest = exchange.now - (OPEN_CUTOFF if which == "open" else 0)
    by_column: dict[int, list[Order]] = {}
    for order in exchange.open_orders():
        if order.auction == which and order.waits == AUCTION and order.placed_at <= latest:
            by_column.setdefault(order.column, []).append(order)
    for column in sorted(by_column):
        if column not in exchange.halted:
            _cross(matching, column, by_column[column], which == "close")


def _cross(matching: Matching, column: int, orders: list[Order], closing: bool) -> None:
    before = _price(matching, column, closing)
    net = sum(order.signed_remaining for order in orders if _allows(order, before))
    book = matching.book(column)
    book.press(matching.exchange.now, net)
    matching.note_book(column)
    price = _price(matching, column, closing)
    for order in orders:
        if not order.is_working:
            continue
        order.waits = ""
        if _allows(order, price):
            matching.fill(order, price, order.remaining, passive=False)
        else:
            matching.end(order, CANCELLED, 202, "Order Canceled - reason:")


def _price(matching: Matching, column: int, closing: bool) -> int:
    exchange = matching.exchange
    market, span = exchange.market, exchange.span
    if closing:
        return market.close_cents(column, market.closes.ordinal(span.date))
    return max(round(matching.book(column).mid(exchange.now) * 100.0), 1)


def _allows(order: Order, price: int) -> bool:
    if order.limit is None:
        return True
    return price <= order.limit if order.buy else price >= order.limit
