"""Orders entered by hand, as a person does in TWS, and their binding to client 0.

Such an order belongs to client 0 under order id 0 until it is bound: by `reqAutoOpenOrders` for
those to come, by `reqOpenOrders` of client 0 for those that work. It has a negative id from then on
(interactivebrokers.github.io/tws-api/open_orders.html), under which client 0 may change or cancel
it. Unbound ones are told to the master client only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.engine import intake
from gateway.engine.orders import CANCELLED, Order
from gateway.engine.refusal import Refused

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange
    from gateway.engine.matching import Matching

OWNER = 0  # the client whom orders entered by hand can be bound to


def enter(
    exchange: Exchange, matching: Matching, column: int, request: dict[str, Any], bound: bool
) -> Order:
    """Accept an order entered by hand; raise Refused with the TWS code."""
    order = exchange.take((OWNER, -(exchange.manual + 1), column), request)
    exchange.manual += 1
    order.manual, order.bound = True, bound
    intake.accept(exchange, matching, order)
    exchange.touch(order)
    return order


def bind(exchange: Exchange) -> list[Order]:
    """Bind every working order that was entered by hand and is not bound yet; return them."""
    fresh = [o for o in exchange.open_orders(OWNER) if o.manual and not o.bound]
    for order in fresh:
        order.bound = True
        exchange.touch(order)
    return fresh


def cancel(exchange: Exchange, matching: Matching, perm_id: int) -> Order:
    """Cancel any client's order by hand; raise Refused with the TWS code."""
    order = exchange.orders.get(perm_id)
    if order is None or not order.is_working:
        raise Refused(161, f"Cancel attempted when order is not in a cancellable state: {perm_id}")
    matching.end(order, CANCELLED, 202, "Order Canceled - reason:")
    return order
