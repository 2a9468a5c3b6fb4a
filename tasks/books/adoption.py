"""Take in a complete read of the account, as a whole: what the broker shows, the ledger keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from models.domain.orders import ChildState
from models.execution.events import ChildEvidence
from models.execution.reissued import bearer

if TYPE_CHECKING:
    from models.domain.orders import ChildOrder
    from tasks.broker.protocol import Evidence, OrderStatus
    from warehouse.ledger import OrderLedger


def adopt(ledger: OrderLedger, evidence: Evidence) -> Evidence:
    """Record what the broker shows of the account; at first contact, its opening balance too.

    One transaction: a read is taken in as a whole. Return it as `readdressed`.
    """
    account = evidence.account
    with ledger.transaction():
        evidence = readdressed(ledger, evidence)
        if ledger.accounts.opening(account) is None:
            ledger.accounts.record_opening(
                account, evidence.cash, evidence.positions, evidence.at, evidence.fills
            )
        for fill in evidence.fills:
            ledger.executions.record(fill, account)
        for commission in evidence.commissions:
            ledger.executions.record_commission(
                commission.exec_id, commission.amount, commission.currency, commission.realized_pnl
            )
        at_work = {order.order_ref for order in evidence.open_orders}
        for order in evidence.orders:
            _adopt_order(ledger, order, order.order_ref in at_work)
    return evidence


def readdressed(ledger: OrderLedger, evidence: Evidence) -> Evidence:
    """Return a read with each order and execution under the name of the child that it is of.

    What was given up as never sent and arrived after all is the attempt that was given its id.
    """
    children = ledger.children.reissued(evidence.account)
    if not children:
        return evidence
    orders = tuple(
        replace(order, order_ref=bearer(children, order.order_ref, order.perm_id))
        for order in evidence.orders
    )
    fills = tuple(
        replace(fill, order_ref=bearer(children, fill.order_ref, fill.perm_id))
        for fill in evidence.fills
    )
    return replace(evidence, orders=orders, fills=fills)


def child_evidence(order: OrderStatus, child: ChildOrder | None) -> ChildEvidence:
    """Return what an order of a read says of its child, if it has one."""
    filled = order.filled
    if order.status == "Filled":
        state = ChildState.FILLED
        # A completed order may leave its filled quantity out; none is sent again for that.
        filled = max(filled, child.quantity if child else 0)
    elif not order.is_over:
        state = ChildState.PARTIAL if filled else ChildState.ACKED
    else:
        state = ChildState.REJECTED if order.status == "Inactive" else ChildState.CANCELLED
    return ChildEvidence(order.order_ref, state, filled, order.perm_id)


def _adopt_order(ledger: OrderLedger, order: OrderStatus, is_at_work: bool) -> None:
    """Keep what a read shows; the end of one order is not a child's while another carries on."""
    record = ledger.children.get(order.order_ref) if order.order_ref else None
    if record is None:  # of no child of this system
        return
    shown = child_evidence(order, record.order)
    state = ChildState.ACKED if is_at_work and order.is_over else shown.state
    ledger.children.record_status(shown.order_ref, state, shown.filled, shown.perm_id)
    ledger.executions.explain_reported(shown.order_ref)
