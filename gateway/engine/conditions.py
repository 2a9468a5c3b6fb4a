"""Conditions that an order waits for: a price, a time, margin, an execution, volume or a change.

They are looked at every second of the session (margin cushion, executions and time too). Each joins
the next by `and` or `or`, read from the left. When they hold the order is worked, or cancelled if
`conditionsCancelOrder` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.engine.account import MAINTENANCE_MARGIN
from gateway.engine.orders import Order
from gateway.engine.refusal import Refused
from gateway.market.universe import BY_CON_ID, INSTRUMENTS
from gateway.session.moments import parse_moment

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange

PRICE, TIME, MARGIN, EXECUTION, VOLUME, CHANGE = 1, 3, 4, 5, 6, 7


def check_conditions(request: dict[str, Any]) -> bool:
    """Say whether an order has conditions; raise Refused (321) for one that cannot be read."""
    count = request.get("conditionCount") or 0
    for place in range(count):
        try:
            _read(request, place)
        except (ValueError, KeyError):
            raise Refused(
                321, f"Error validating request.-'bW' : cause - Invalid condition {place + 1}"
            ) from None
    return count > 0


def _read(request: dict[str, Any], place: int) -> tuple[float, int]:
    """Return the threshold of a condition, and the column that it looks at (0 if none)."""
    stem, kind = f"condition{place}", request[f"condition{place}Type"]
    column = 0
    if kind in {PRICE, VOLUME, CHANGE}:
        column = BY_CON_ID[int(request[f"{stem}Conid"])].column
    names = {PRICE: "Price", MARGIN: "Percent", VOLUME: "Volume", CHANGE: "Changepercent"}
    if kind == TIME:
        return float(parse_moment(request[f"{stem}Time"])), 0
    if kind == EXECUTION:
        return 0.0, 0
    return float(request[f"{stem}{names[kind]}"]), column


def hold(exchange: Exchange, order: Order) -> bool:
    """Say whether an order's conditions hold now."""
    request, result = order.request, False
    joined_by_and = False
    for place in range(request["conditionCount"]):
        one = _holds(exchange, order, place)
        result = one if place == 0 else (result and one if joined_by_and else result or one)
        joined_by_and = request[f"condition{place}Conjunction"].lower() in {"a", "and"}
    return result


def _holds(exchange: Exchange, order: Order, place: int) -> bool:
    request, stem = order.request, f"condition{place}"
    kind = request[f"{stem}Type"]
    if kind == EXECUTION:
        symbol = request[f"{stem}Symbol"].upper()
        return any(
            INSTRUMENTS[e.column].symbol == symbol and e.at >= order.placed_at
            for e in exchange.executions.values()
        )
    threshold, column = _read(request, place)
    value = _value(exchange, kind, column)
    more = request[f"{stem}Ismore"] in {"1", "true", "True", True}
    return value >= threshold if more else value <= threshold


def _value(exchange: Exchange, kind: int, column: int) -> float:
    if kind == TIME:
        return float(exchange.now)
    if kind == MARGIN:
        marks = exchange.marks()
        equity = max(exchange.account.equity(marks), 1)
        needed = float(MAINTENANCE_MARGIN) * exchange.account.gross(marks)
        return 100.0 * (equity - needed) / equity
    if kind == VOLUME:
        book = exchange.book(column)
        return float(book.path.traded[book.span.second(exchange.now)])
    price = exchange.mark(column) / 100.0
    if kind == PRICE:
        return price
    return 100.0 * (100.0 * price / exchange.closing_mark(column) - 1.0)
