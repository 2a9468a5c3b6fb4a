"""Broker evidence into state: it only accumulates, so its order and repetition change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from models.domain.errors import HaltTrading
from models.domain.orders import ChildOrder, ChildState, Fill, ParentState
from models.execution.events import Reconciled
from models.execution.fills import gross_quantity, net_quantity
from models.execution.state import ParentExecution

# Evidence moves a child up only. Broker evidence ranks above a proof of absence: the broker wins.
_RANK = {
    state: rank
    for rank, state in enumerate(
        (
            ChildState.INTENT,
            ChildState.SENT,
            ChildState.UNKNOWN,
            ChildState.NEVER_SENT,
            ChildState.ACKED,
            ChildState.PARTIAL,
            ChildState.REJECTED,
            ChildState.CANCELLED,
            ChildState.FILLED,
        )
    )
}


def owns(execution: ParentExecution, order_ref: str) -> bool:
    """Say whether an orderRef (parent.slice.attempt) names a child of this parent."""
    return order_ref.rsplit(".", 2)[0] == execution.parent.parent_id


def child_of(execution: ParentExecution, order_ref: str) -> ChildOrder:
    """Return the committed child with this orderRef; raise HaltTrading when there is none."""
    child = execution.children.get(order_ref)
    if child is None:
        raise HaltTrading(
            f"order {order_ref!r} was never committed by parent {execution.parent.parent_id}; "
            "cancel it at the broker, and find out who sent it before resuming"
        )
    return child


def with_status(
    execution: ParentExecution, order_ref: str, state: ChildState, filled: int, perm_id: int
) -> ParentExecution:
    """Take in an order status: `state` ACKED, REJECTED or CANCELLED, `filled` cumulative shares."""
    child = child_of(execution, order_ref)
    if filled > execution.reported.get(order_ref, 0):
        execution = replace(execution, reported={**execution.reported, order_ref: filled})
    return _with_child(execution, child, state, perm_id)


def with_fill(execution: ParentExecution, fill: Fill) -> ParentExecution:
    """Take in an execution, a correction or a bust.

    Raises HaltTrading when its symbol or side is not the child's (two orders got mixed up).
    """
    return with_fills(execution, (fill,))


def with_fills(execution: ParentExecution, fills: Iterable[Fill]) -> ParentExecution:
    """Take in executions in any order, each child's all at once (so a bust with what it busts)."""
    news: dict[str, list[Fill]] = {}
    for fill in fills:
        news.setdefault(fill.order_ref, []).append(fill)
    for order_ref, arrived in news.items():
        child = child_of(execution, order_ref)
        known = {fill.exec_id: fill for fill in execution.fills.get(order_ref, ())}
        for fill in arrived:
            _require_same_instrument(child, fill)
            known.setdefault(fill.exec_id, fill)
        kept = tuple(known[exec_id] for exec_id in sorted(known))
        if len(kept) > len(execution.fills.get(order_ref, ())):
            execution = replace(execution, fills={**execution.fills, order_ref: kept})
        for perm_id in sorted({fill.perm_id for fill in arrived}):
            current = execution.children[order_ref]
            execution = _with_child(execution, current, ChildState.ACKED, perm_id)
    return execution


def with_reconciliation(execution: ParentExecution, event: Reconciled) -> ParentExecution:
    """Adopt, by orderRef, what the broker shows of this parent's children."""
    own = [fill for fill in event.fills if owns(execution, fill.order_ref)]
    execution = with_fills(execution, own)
    for order in event.orders:
        if owns(execution, order.order_ref):
            execution = with_status(
                execution, order.order_ref, order.state, order.filled, order.perm_id
            )
    started = execution.state is ParentState.NEW
    state = ParentState.WORKING if started else execution.state
    return replace(execution, reconciled=True, state=state)


def with_state(execution: ParentExecution, order_ref: str, state: ChildState) -> ParentExecution:
    """Set a child's state without evidence (SENT, UNKNOWN, NEVER_SENT); never moves it back."""
    child = child_of(execution, order_ref)
    if _RANK[state] <= _RANK[child.state]:
        return execution
    return _put(execution, replace(child, state=state))


def quarantined(execution: ParentExecution, reason: str) -> ParentExecution:
    """Pause the parent (unless it has ended) until a person has looked at `reason`."""
    if execution.quarantine:
        return execution
    state = execution.state
    if not state.is_terminal and state is not ParentState.CANCELLING:
        state = ParentState.PAUSED
    return replace(execution, quarantine=reason, state=state)


def _require_same_instrument(child: ChildOrder, fill: Fill) -> None:
    if (fill.symbol, fill.side) != (child.symbol, child.side):
        raise HaltTrading(
            f"execution {fill.exec_id} ({fill.side} {fill.symbol}) names order {child.order_ref} "
            f"({child.side} {child.symbol}); reconcile by hand before resuming"
        )


def _with_child(
    execution: ParentExecution, child: ChildOrder, shown: ChildState, perm_id: int
) -> ParentExecution:
    fills = execution.fills.get(child.order_ref, ())
    gross = gross_quantity(fills)
    unseen = max(0, execution.reported.get(child.order_ref, 0) - gross)
    done = gross + unseen
    if done >= child.quantity:
        shown = ChildState.FILLED
    elif done and not shown.is_terminal:
        shown = ChildState.PARTIAL
    updated = replace(
        child,
        state=max(child.state, shown, key=_RANK.__getitem__),
        filled=net_quantity(fills) + unseen,
        perm_id=child.perm_id or perm_id or None,
    )
    contradiction = _contradiction(child, updated, done, perm_id)
    execution = execution if updated == child else _put(execution, updated)
    if not contradiction and _exposure(updated) > _exposure(child) and execution.unallocated < 0:
        contradiction = (
            f"worst case {execution.exposure} of {execution.parent.quantity} shares after news of "
            f"{child.order_ref}"
        )
    if not contradiction:
        return execution
    return quarantined(execution, f"{contradiction}; reconcile by hand, then resume or cancel")


def _contradiction(before: ChildOrder, after: ChildOrder, done: int, perm_id: int) -> str:
    if before.state is ChildState.NEVER_SENT and after.state is not ChildState.NEVER_SENT:
        return f"{before.order_ref} was proven never sent, and now the broker shows it"
    if perm_id and before.perm_id and perm_id != before.perm_id:
        return f"two orders carry {before.order_ref}: permId {before.perm_id} and {perm_id}"
    if before.state is ChildState.REJECTED and after.filled > before.filled:
        return f"{before.order_ref} was rejected, and now the broker shows it filled"
    if done > before.quantity:
        return f"{before.order_ref} for {before.quantity} shares was filled with {done}"
    return ""


def _exposure(child: ChildOrder) -> int:
    return child.filled + child.leaves


def _put(execution: ParentExecution, child: ChildOrder) -> ParentExecution:
    return replace(execution, children={**execution.children, child.order_ref: child})
