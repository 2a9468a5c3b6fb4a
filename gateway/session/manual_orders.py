"""Orders entered by hand, as client 0 hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, message
from gateway.engine.manual import OWNER, bind
from gateway.engine.refusal import Refused
from gateway.session.connection import Connection

if TYPE_CHECKING:
    from gateway.engine.orders import Order
    from gateway.session.hub import Hub


def auto_open_orders(hub: Hub, connection: Connection, values: dict[str, Any]) -> None:
    """Bind orders that will be entered by hand to client 0, or no longer."""
    if connection.client_id != OWNER:
        raise Refused(327, "Only the default client (i.e 0) can auto bind orders")
    connection.subscriptions.auto_bind = values["autoBind"]


def binds(hub: Hub) -> bool:
    """Say whether an order entered now is bound at once."""
    return any(c.client_id == OWNER and c.subscriptions.auto_bind for c in hub.clients)


def bind_all(hub: Hub, connection: Connection) -> None:
    """Bind what works and was entered by hand, and tell client 0 under which ids it knows it."""
    for order in bind(hub.exchange):
        tell_bound(connection, order)
    hub.deliver()


def tell_owner(hub: Hub, order: Order) -> None:
    """Tell client 0 of an order that was bound when it was entered."""
    for connection in hub.clients:
        if order.bound and connection.client_id == OWNER:
            tell_bound(connection, order)


def tell_bound(connection: Connection, order: Order) -> None:
    """Send orderBound: the permanent id, the client, the order id."""
    connection.send(message(Out.ORDER_BOUND, order.perm_id, order.client_id, order.order_id))


HANDLERS = {"reqAutoOpenOrders": auto_open_orders}
