"""Orders by an amount of money: the whole shares that a cash quantity stands for."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gateway.engine.refusal import Refused

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange

NOT_HERE = (10244, "Cash Quantity cannot be used for this order")


def sized(exchange: Exchange, column: int, request: dict[str, Any]) -> dict[str, Any]:
    """Return a request with the shares that its `cashQty` (USD) stands for, if it has one.

    A limit order is measured by its limit, a market order by the far side of the quote (the last
    close outside trading hours); fractions of a share are left over. Raises Refused 10244 for an
    order of another type or with a number of shares as well, 201 when no whole share is left.
    """
    cash: Decimal | None = request.get("cashQty")
    if not cash:
        return request
    kind = request["orderType"].upper()
    if request["totalQuantity"] or kind not in {"MKT", "LMT"} or cash < 0:
        raise Refused(*NOT_HERE)
    price = request["lmtPrice"] if kind == "LMT" else _price(exchange, column, request)
    if price is None or price <= 0:
        raise Refused(*NOT_HERE)
    shares = cash // price
    if not shares:
        raise Refused(201, "Order rejected - reason:The cash quantity is less than one share")
    return request | {"totalQuantity": shares}


def _price(exchange: Exchange, column: int, request: dict[str, Any]) -> Decimal:
    if exchange.hours.live is None:
        return Decimal(exchange.closing_mark(column)) / 100
    bid, ask = exchange.book(column).touch(exchange.now)
    return Decimal(ask if request["action"].upper() == "BUY" else bid) / 100


def resized(
    exchange: Exchange, column: int, request: dict[str, Any], known: dict[str, Any]
) -> dict[str, Any]:
    """Return a change's request likewise; shares beside the cash are those told back earlier."""
    if request["totalQuantity"] and known.get("cashQty"):
        return request
    return sized(exchange, column, request)
