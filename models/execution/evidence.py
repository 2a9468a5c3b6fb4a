"""Broker evidence into state: it only accumulates, so its order and repetition change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from models.domain.errors import HaltTrading
from models.domain.orders import ChildOrder, ChildState, Fill, ParentState
from models.execution.child_state import (
    ChildFacts,
    Evidence,
    Executed,
    Told,
    contradiction,
    later,
    take,
)
from models.execution.events import Reconciled
from models.execution.fills import (
    explained_by_read,
    gross_quantity,
    net_quantity,
    without_statement,
)
from models.execution.reissued import heir_of
from models.execution.second_orders import told_apart
from models.execution.state import ParentExecution


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
    """Take in an order status of the broker, `filled` cumulative shares."""
    child = child_of(execution, order_ref)
    before, evidence = _facts(execution, child), Told(state, filled)
    return _with_child(execution, child, before, evidence, perm_id)


def with_fill(execution: ParentExecution, fill: Fill) -> ParentExecution:
    """Take in an execution, a correction or a bust.

    Raises HaltTrading when its symbol or side is not the child's (two orders got mixed up).
    """
    return with_fills(execution, (fill,))


def with_fills(
    execution: ParentExecution, fills: Iterable[Fill], *, is_news: bool = True
) -> ParentExecution:
    """Take in executions in any order, each child's all at once (so a bust with what it busts).

    Only what `is_news` tells of a second order under a name: a person may have answered the rest.
    """
    news: dict[str, list[Fill]] = {}
    for fill in fills:
        news.setdefault(fill.order_ref, []).append(fill)
    for order_ref, arrived in news.items():
        child = child_of(execution, order_ref)
        known = {fill.exec_id: fill for fill in execution.fills.get(order_ref, ())}
        news_of = {fill.perm_id for fill in arrived if fill.exec_id not in known}
        perm_ids = news_of if is_news and news_of else {0}
        for fill in arrived:
            _require_same_instrument(child, fill)
            known.setdefault(fill.exec_id, fill)
        before = _facts(execution, child)
        kept = without_statement(known.values())
        if len(kept) > len(execution.fills.get(order_ref, ())):
            execution = replace(execution, fills={**execution.fills, order_ref: kept})
        evidence = Executed(gross_quantity(kept), net_quantity(kept))
        for perm_id in sorted(perm_ids):
            current = execution.children[order_ref]
            execution = _with_child(execution, current, before, evidence, perm_id)
            before = _facts(execution, current)
    return execution


def with_reconciliation(execution: ParentExecution, event: Reconciled) -> ParentExecution:
    """Adopt, by orderRef, what the broker shows of this parent's children.

    The read is complete, so that a reported share without an execution was corrected away.
    """
    own = [fill for fill in event.fills if owns(execution, fill.order_ref)]
    execution = with_fills(execution, own)
    for order in event.orders:
        if owns(execution, order.order_ref):
            execution = with_status(
                execution, order.order_ref, order.state, order.filled, order.perm_id
            )
            execution = _explained(execution, order.order_ref)
    started = execution.state is ParentState.NEW
    state = ParentState.WORKING if started else execution.state
    return replace(execution, reconciled=True, state=state)


def with_state(execution: ParentExecution, order_ref: str, state: ChildState) -> ParentExecution:
    """Set a child's state without evidence (SENT, UNKNOWN, NEVER_SENT); never moves it back."""
    child = child_of(execution, order_ref)
    after = later(child.state, state)
    return execution if after is child.state else _put(execution, replace(child, state=after))


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


def _explained(execution: ParentExecution, order_ref: str) -> ParentExecution:
    known = execution.fills.get(order_ref, ())
    shares = explained_by_read(execution.reported.get(order_ref, 0), known)
    child = execution.children[order_ref]
    before = _facts(execution, child)
    if shares <= before.gross:
        return execution
    execution = replace(execution, explained={**execution.explained, order_ref: shares})
    return _with_child(execution, child, before, Executed(shares, before.net), 0)


def _facts(execution: ParentExecution, child: ChildOrder) -> ChildFacts:
    fills = execution.fills.get(child.order_ref, ())
    return ChildFacts(
        quantity=child.quantity,
        state=execution.children[child.order_ref].state,
        reported=execution.reported.get(child.order_ref, 0),
        gross=execution.gross_of(child.order_ref),
        net=net_quantity(fills),
    )


def _with_child(
    execution: ParentExecution,
    child: ChildOrder,
    before: ChildFacts,
    evidence: Evidence,
    perm_id: int,
) -> ParentExecution:
    """Take one piece of evidence into a child; what contradicts pauses its parent."""
    execution, evidence, second = told_apart(execution, child, evidence, perm_id)
    after = take(before, evidence)
    if after.reported > before.reported:
        reported = {**execution.reported, child.order_ref: after.reported}
        execution = replace(execution, reported=reported)
    updated = replace(
        child,
        state=after.state,
        filled=after.filled,
        perm_id=child.perm_id or perm_id or None,
    )
    trouble = contradiction(before, evidence) or _beside_heir(execution, child, updated)
    trouble = f"{child.order_ref} {trouble}" if trouble else second
    execution = execution if updated == child else _put(execution, updated)
    if not trouble and _exposure(updated) > _exposure(child) and execution.unallocated < 0:
        trouble = (
            f"worst case {execution.exposure} of {execution.parent.quantity} shares after news of "
            f"{child.order_ref}"
        )
    if not trouble:
        return execution
    return quarantined(execution, f"{trouble}; reconcile by hand, then resume or cancel")


def _beside_heir(execution: ParentExecution, before: ChildOrder, after: ChildOrder) -> str:
    """Say what is wrong when a child proven never sent lives, and another order has its id."""
    if before.state is not ChildState.NEVER_SENT or after.state is ChildState.NEVER_SENT:
        return ""
    heir = heir_of(execution.children, before)
    if heir is None:
        return ""  # the proof was wrong, and nothing was sent on it: room decides
    return f"was proven never sent and {heir.order_ref} went under its id; now the broker shows it"


def _exposure(child: ChildOrder) -> int:
    return child.filled + child.leaves


def _put(execution: ParentExecution, child: ChildOrder) -> ParentExecution:
    return replace(execution, children={**execution.children, child.order_ref: child})
