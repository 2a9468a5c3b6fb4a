"""Orders, executions and what a client hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, cents, message
from gateway.engine.manual import OWNER
from gateway.engine.orders import Execution, Order
from gateway.engine.refusal import Refused
from gateway.market.universe import INSTRUMENTS
from gateway.options import ACCOUNT
from gateway.session.connection import Connection
from gateway.session.contracts import one_column, refuse_untradable
from gateway.session.manual_orders import bind_all
from gateway.session.moments import parse_moment
from gateway.session.order_echo import completed_order, open_order, stock
from gateway.timeline import new_york

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
SIDES = {"": None, "BUY": True, "BOT": True, "SELL": False, "SLD": False, "SSHORT": False}


def place_order(hub: Hub, connection: Connection, values: Values) -> None:
    """Place or change an order, or say what it would do."""
    assert connection.client_id is not None
    column = one_column(values)
    refuse_untradable(column)
    if values["whatIf"]:
        _what_if(hub, connection, column, values)
        return
    hub.exchange.place(connection.client_id, values["orderId"], column, values)
    hub.deliver()


def _what_if(hub: Hub, connection: Connection, column: int, values: Values) -> None:
    assert connection.client_id is not None
    terms, figures = hub.exchange.what_if(column, values)
    order = Order(
        client_id=connection.client_id,
        order_id=values["orderId"],
        perm_id=0,
        column=column,
        buy=terms.buy,
        quantity=terms.quantity,
        kind=terms.kind,
        limit=terms.limit,
        tif=terms.tif,
        request=values,
        placed_at=hub.now,
    )
    margins = {"commission": cents(figures["commission"]), "commissionCurrency": "USD"}
    for name, key in (("initMargin", "initial"), ("maintMargin", "maintenance")):
        before, change = figures[f"{key}_before"], figures[f"{key}_change"]
        margins[f"{name}Before"] = cents(before)
        margins[f"{name}Change"] = cents(change)
        margins[f"{name}After"] = cents(before + change)
    margins["equityWithLoanBefore"] = cents(figures["equity"])
    margins["equityWithLoanChange"] = cents(-figures["commission"])
    margins["equityWithLoanAfter"] = cents(figures["equity"] - figures["commission"])
    connection.send(open_order(order, connection.version, margins))


def cancel_order(hub: Hub, connection: Connection, values: Values) -> None:
    """Cancel one order of this client."""
    assert connection.client_id is not None
    hub.exchange.cancel(connection.client_id, values["orderId"])
    hub.deliver()


def global_cancel(hub: Hub, connection: Connection, values: Values) -> None:
    """Cancel every working order of the account."""
    hub.exchange.cancel_all()
    hub.deliver()


def open_orders(hub: Hub, connection: Connection, values: Values) -> None:
    """Send this client's working orders; client 0 binds those entered by hand."""
    if connection.client_id == OWNER:
        bind_all(hub, connection)
    for order in hub.exchange.open_orders(connection.client_id):
        tell_order(connection, order)
    connection.send(message(Out.OPEN_ORDER_END, 1))


def all_open_orders(hub: Hub, connection: Connection, values: Values) -> None:
    """Send every client's working orders."""
    for order in hub.exchange.open_orders():
        tell_order(connection, order)
    connection.send(message(Out.OPEN_ORDER_END, 1))


def completed_orders(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the orders that were done today, of every client; `apiOnly` leaves out manual ones."""
    done = [
        order
        for order in hub.exchange.orders.values()
        if not order.is_working and not (order.manual and values["apiOnly"])
    ]
    for order in sorted(done, key=lambda order: (order.done_at, order.perm_id)):
        connection.send(completed_order(order, connection.version))
    connection.send(message(Out.COMPLETED_ORDERS_END))


def next_ids(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the next valid order id."""
    assert connection.client_id is not None
    next_id = hub.exchange.next_id(connection.client_id)
    connection.send(message(Out.NEXT_VALID_ID, 1, next_id))


def executions(hub: Hub, connection: Connection, values: Values) -> None:
    """Send today's executions that pass the filter, and the commissions charged for them."""
    since = parse_moment(values["time"]) if values["time"] else 0
    if values["side"].upper() not in SIDES:
        raise Refused(
            321,
            f"Error validating request.-'bI' : cause - Invalid side {values['side']}: BUY or SELL",
        )
    side = SIDES[values["side"].upper()]
    for execution in hub.exchange.executions.values():
        if (
            values["clientId"] in {0, execution.client_id}
            and values["account"] in {"", ACCOUNT}
            and execution.at >= since
            and values["symbol"].upper() in {"", INSTRUMENTS[execution.column].symbol}
            and values["secType"] in {"", "STK"}
            and values["exchange"] in {"", "SMART", INSTRUMENTS[execution.column].primary}
            and side in {None, execution.buy}
        ):
            tell_execution(connection, execution, values["reqId"])
            if execution.reported:
                tell_commission(connection, execution)
    connection.send(message(Out.EXECUTION_END, 1, values["reqId"]))


def tell_order(connection: Connection, order: Order) -> None:
    """Send openOrder and orderStatus."""
    connection.send(open_order(order, connection.version))
    connection.send(
        message(
            Out.ORDER_STATUS,
            *(order.told_id, order.status, order.filled, order.remaining, order.average),
            *(order.perm_id, order.request.get("parentId") or 0, cents(order.last_price)),
            *(order.client_id, "", "0.0"),
        )
    )


def tell_execution(connection: Connection, execution: Execution, request_id: int) -> None:
    """Send execDetails."""
    instrument = INSTRUMENTS[execution.column]
    contract = stock(instrument, instrument.primary)
    fields = [
        *(request_id, execution.order_id, *contract.values(), execution.exec_id),
        f"{new_york(execution.at):%Y%m%d %H:%M:%S} US/Eastern",
        *(ACCOUNT, instrument.primary, "BOT" if execution.buy else "SLD"),
        *(execution.shares, cents(execution.price), execution.perm_id, execution.client_id, 0),
        *(execution.cumulative, execution.average, execution.order_ref, "", "", ""),
        1 if execution.passive else 2,
    ]
    if connection.version >= 178:
        fields.append(0)
    connection.send(message(Out.EXECUTION, *fields))


def tell_commission(connection: Connection, execution: Execution) -> None:
    """Send the commission report; profit is unset for a trade that opened."""
    realized = "1.7976931348623157E308"
    if execution.realized is not None:
        realized = cents(execution.realized)
    fields = (1, execution.exec_id, cents(execution.commission), "USD", realized)
    connection.send(message(Out.COMMISSION_REPORT, *fields, "1.7976931348623157E308", ""))


HANDLERS = {
    "placeOrder": place_order,
    "cancelOrder": cancel_order,
    "reqGlobalCancel": global_cancel,
    "reqOpenOrders": open_orders,
    "reqAllOpenOrders": all_open_orders,
    "reqCompletedOrders": completed_orders,
    "reqIds": next_ids,
    "reqExecutions": executions,
}
