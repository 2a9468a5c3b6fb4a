"""What a fill, its commission and the end of an order do to the account and to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.engine.account import commission_for
from gateway.engine.orders import (
    FILLED,
    CommissionCharged,
    Executed,
    Execution,
    Notice,
    Order,
    OrderChanged,
)

if TYPE_CHECKING:
    from gateway.engine.exchange import Exchange

COMMISSION_DELAY = 200_000  # microseconds of market time after the execution


def tell(exchange: Exchange, order: Order) -> None:
    """Tell the client the order's state of this moment."""
    exchange.changes.events.append(OrderChanged.of(order))


def warn(exchange: Exchange, order: Order, code: int, text: str) -> None:
    """Send the client an error or message about an order."""
    exchange.changes.events.append(Notice(order.client_id, order.told_id, code, text))


def book_fill(exchange: Exchange, order: Order, price: int, shares: int, passive: bool) -> None:
    """Book an execution of an order at `price` cents and tell its client."""
    exchange.expose(order.column, -shares if order.buy else shares)
    order.filled += shares
    order.value += shares * price
    order.last_price = price
    charged = commission_for(order.filled, order.value)
    commission, order.commission = charged - order.commission, charged
    execution = Execution(
        exec_id=f"0000e0d5.{exchange.next_execution():08x}.01.01",
        perm_id=order.perm_id,
        client_id=order.client_id,
        order_id=order.told_id,
        column=order.column,
        buy=order.buy,
        shares=shares,
        price=price,
        at=exchange.now,
        cumulative=order.filled,
        average=order.average,
        order_ref=order.request["orderRef"],
        passive=passive,
        commission=commission,
        due=exchange.now + COMMISSION_DELAY,
        realized=exchange.account.trade(order.column, order.buy, shares, price),
    )
    if order.remaining == 0:
        order.status, order.done_at, order.waits = FILLED, exchange.now, ""
        order.queue, order.shown = [], 0
    exchange.await_commission(execution)
    exchange.edge.filled(execution)
    changes = exchange.changes
    changes.executions[execution.exec_id] = execution
    changes.positions.add(order.column)
    changes.events.append(Executed(execution))
    exchange.touch(order)
    tell(exchange, order)


def book_commission(exchange: Exchange, execution: Execution) -> None:
    """Book an execution's commission and report it."""
    closed = execution.realized is not None
    exchange.account.charge(execution.column, execution.commission, closed)
    if execution.realized is not None:
        execution.realized -= execution.commission
    execution.reported = True
    changes = exchange.changes
    changes.executions[execution.exec_id] = execution
    changes.positions.add(execution.column)
    changes.events.append(CommissionCharged(execution))


def book_end(exchange: Exchange, order: Order, status: str, code: int, text: str) -> None:
    """End an order without a fill: cancelled, expired or rejected, with its TWS code."""
    if order.is_working:
        exchange.expose(order.column, -order.signed_remaining)
    order.status, order.done_at, order.reason, order.held = status, exchange.now, text, False
    order.waits, order.queue, order.shown = "", [], 0
    warn(exchange, order, code, text)
    tell(exchange, order)
    exchange.touch(order)
