"""What a person at the broker's own screen does: enters and cancels orders by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.codec.fields import CodecError, default_fields
from gateway.codec.place_order import PLACE_ORDER
from gateway.engine.refusal import Refused
from gateway.options import MAX_VERSION
from gateway.session.contracts import one_column, refuse_untradable
from gateway.session.manual_orders import binds, tell_owner
from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from gateway.engine.orders import Order
    from gateway.session.hub import Hub

# What a request may name, and the field of placeOrder that it stands for.
FIELDS = {
    "symbol": "symbol",
    "action": "action",
    "quantity": "totalQuantity",
    "type": "orderType",
    "limit": "lmtPrice",
    "stop": "auxPrice",
    "tif": "tif",
    "outside_rth": "outsideRth",
    "order_ref": "orderRef",
}
USUAL = {
    **{"secType": "STK", "exchange": "SMART", "currency": "USD", "transmit": "1"},
    **{"orderType": "MKT", "tif": "DAY"},
}


def enter(hub: Hub, request: dict[str, Any]) -> dict[str, Any]:
    """Enter an order: {"symbol", "action", "quantity"} and any of type, limit, stop, tif, ...

    Raises InvalidInput, with the TWS code, for one that is refused.
    """
    asked = {key: value for key, value in request.items() if key not in {"id", "op"}}
    if unknown := sorted(asked.keys() - FIELDS.keys()):
        raise InvalidInput(f"order: {', '.join(unknown)} is unknown; give {', '.join(FIELDS)}")
    if missing := sorted({"symbol", "action", "quantity"} - asked.keys()):
        raise InvalidInput(f"order: {', '.join(missing)} is missing; give {', '.join(FIELDS)}")
    texts = {FIELDS[key]: _text(value) for key, value in asked.items() if value is not None}
    texts["symbol"] = texts["symbol"].upper()
    try:
        values = default_fields(PLACE_ORDER, USUAL | texts, MAX_VERSION)
        column = one_column(values)
        refuse_untradable(column)
        order = hub.exchange.enter(column, values, bound=binds(hub))
    except CodecError as error:
        raise InvalidInput(f"order: {error}") from None
    except Refused as refusal:
        raise InvalidInput(f"the order is refused with {refusal}") from None
    tell_owner(hub, order)
    hub.deliver()
    return _told(order)


def cancel(hub: Hub, request: dict[str, Any]) -> dict[str, Any]:
    """Cancel any client's order: {"perm_id": NUMBER}; InvalidInput when it does not work."""
    number = str(request.get("perm_id", ""))
    if not number.isdigit():
        raise InvalidInput(f"perm_id {number!r} is no number; `robo gateway status` lists orders")
    try:
        order = hub.exchange.cancel_by_hand(int(number))
    except Refused as refusal:
        raise InvalidInput(f"the cancel is refused with {refusal}") from None
    hub.deliver()
    return _told(order)


def _told(order: Order) -> dict[str, Any]:
    return {
        "perm_id": order.perm_id,
        "order_id": order.told_id,
        "order_ref": order.request["orderRef"],
        "status": order.status,
        "filled": order.filled,
        "average_price": order.average,
        "reason": order.reason,
    }


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
