"""The pure core that works one parent order: `step(state, event) -> (state, commands)`.

No input or output, no clock: the shell owns the socket, the time and the ledger. A start and a
recovery are the same: `restore` from the ledger's rows, then a Reconciled event, then the schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from models.domain.errors import HaltTrading
from models.domain.orders import ChildOrder, ChildState, Fill, ParentOrder, ParentState
from models.execution.commands import CancelChild, Command, FinishParent, PlaceChild
from models.execution.curves import curve_for
from models.execution.events import (
    Abandoned,
    BrokerMessage,
    CancelRequested,
    ChildAcked,
    ChildCancelled,
    ChildFilled,
    ChildRejected,
    ChildSent,
    ConnectionLost,
    Event,
    PauseRequested,
    ProvenNeverSent,
    Reconciled,
    Reconciliation,
    ResumeRequested,
    SessionClosed,
    SliceDue,
    Steering,
)
from models.execution.evidence import (
    child_of,
    quarantined,
    with_fill,
    with_fills,
    with_reconciliation,
    with_state,
    with_status,
)
from models.execution.fills import gross_quantity, net_quantity
from models.execution.planning import next_child, no_attempt_left
from models.execution.second_orders import living
from models.execution.state import ParentExecution, SlicingPolicy

_STOPPED = frozenset({ParentState.PAUSED, ParentState.CANCELLING})
_WORKING_CHILD = frozenset({ChildState.SENT, ChildState.ACKED, ChildState.PARTIAL})


def restore(
    parent: ParentOrder,
    policy: SlicingPolicy,
    children: Sequence[ChildOrder] = (),
    fills: Sequence[Fill] = (),
    state: ParentState = ParentState.NEW,
) -> ParentExecution:
    """Rebuild the execution of a parent from its ledger rows; with none, a fresh start.

    Intents and sent children without broker evidence come back UNKNOWN. Nothing is sent before a
    Reconciled event. Raises InvalidInput on an unknown algo or an empty schedule, HaltTrading on a
    fill whose child is not among `children`.
    """
    execution = ParentExecution(parent, curve_for(parent, policy.slices), policy, state)
    ordered = sorted(children, key=lambda child: (child.slice_no, child.attempt))
    rows = {child.order_ref: replace(child, filled=0) for child in ordered}
    execution = replace(execution, children=rows)
    execution = with_fills(execution, fills, is_news=False)
    for child in ordered:
        known = execution.fills.get(child.order_ref, ())
        if child.filled > net_quantity(known):
            reported = child.filled - net_quantity(known) + gross_quantity(known)
            execution = with_status(execution, child.order_ref, ChildState.ACKED, reported, 0)
    execution = _unproven(execution)
    if execution.unallocated < 0:
        text = f"the ledger's rows add up to {execution.exposure} of {parent.quantity} shares"
        return quarantined(execution, f"{text}; reconcile by hand, then resume or cancel")
    return execution


def step(execution: ParentExecution, event: Event) -> tuple[ParentExecution, tuple[Command, ...]]:
    """Apply one event; return the next state and what the shell must do, in that order.

    An event given twice changes nothing and commands nothing the second time. The function is pure:
    a shell whose own check denies a PlaceChild keeps the old state and may ask again later. Raises
    HaltTrading when the broker shows an order that was never committed, when an execution is of
    another symbol or side than its order, or when the exposure guard is violated.
    """
    was_terminal = execution.state.is_terminal
    commands: list[Command] = []
    if isinstance(event, SliceDue):
        execution, child = _slice(execution, event)
        if child is not None:
            commands.append(PlaceChild(child))
    else:
        execution = _apply(execution, event)
    execution, cancels = _cancel_working(execution)
    commands.extend(cancels)
    execution = _finish(execution)
    if execution.state.is_terminal and not was_terminal:
        commands.append(FinishParent(execution.state, execution.reason))
    return execution, tuple(commands)


def _apply(
    execution: ParentExecution,
    event: BrokerMessage | Reconciliation | Steering | SessionClosed,
) -> ParentExecution:
    match event:
        case ChildSent():
            return _sent(execution, event)
        case ChildAcked(order_ref, perm_id, filled):
            return with_status(execution, order_ref, ChildState.ACKED, filled, perm_id)
        case ChildFilled(fill):
            return with_fill(execution, fill)
        case ChildCancelled(order_ref, filled, perm_id):
            return with_status(execution, order_ref, ChildState.CANCELLED, filled, perm_id)
        case ChildRejected():
            return _rejected(execution, event)
        case ConnectionLost():
            return replace(_unproven(execution), reconciled=False, cancels_asked=frozenset())
        case Reconciled():
            return with_reconciliation(execution, event)
        case ProvenNeverSent(order_ref):
            if child_of(execution, order_ref).state is not ChildState.UNKNOWN:
                return execution
            return with_state(execution, order_ref, ChildState.NEVER_SENT)
        case SessionClosed():
            return replace(execution, over=True, closed=True)
        case PauseRequested() | ResumeRequested() | CancelRequested() | Abandoned():
            return execution if execution.state.is_terminal else _steered(execution, event)
        case _:
            assert_never(event)


def _steered(execution: ParentExecution, event: Steering) -> ParentExecution:
    match event:
        case PauseRequested(reason):
            if execution.state in _STOPPED:
                return execution
            return replace(execution, state=ParentState.PAUSED, reason=reason)
        case ResumeRequested():
            if execution.state is not ParentState.PAUSED:
                return execution
            return replace(execution, state=ParentState.WORKING, quarantine="", reason="")
        case CancelRequested(reason):
            if execution.state is ParentState.CANCELLING:
                return execution
            return replace(execution, state=ParentState.CANCELLING, reason=reason)
        case Abandoned(reason):
            text = f"{reason}; {_tally(execution)}"
            return replace(execution, state=ParentState.FAILED, over=True, reason=text)
        case _:
            assert_never(event)


def _slice(
    execution: ParentExecution, event: SliceDue
) -> tuple[ParentExecution, ChildOrder | None]:
    if event.now >= execution.curve.end:
        return replace(execution, over=True), None
    child = next_child(execution, event.now, event.quote, event.rule)
    if child is None:
        return execution, None
    return placed(execution, child), child


def placed(execution: ParentExecution, child: ChildOrder) -> ParentExecution:
    """Add a new intent: the one place where exposure is committed, and so the one guard.

    Raises HaltTrading when the parent's worst case would exceed its quantity.
    """
    grown = replace(execution, children={**execution.children, child.order_ref: child})
    after = grown.exposure
    if child.quantity < 1 or after > execution.parent.quantity:
        raise HaltTrading(
            f"child {child.order_ref} for {child.quantity} shares would bring its parent's worst "
            f"case to {after} of {execution.parent.quantity} shares; "
            "nothing was sent: halt, reconcile, and report this defect"
        )
    return grown


def _sent(execution: ParentExecution, event: ChildSent) -> ParentExecution:
    child = child_of(execution, event.order_ref)
    if event.order_id is not None and child.order_id is None:
        numbered = replace(child, order_id=event.order_id)
        execution = replace(execution, children={**execution.children, event.order_ref: numbered})
    return with_state(execution, event.order_ref, ChildState.SENT)


def _rejected(execution: ParentExecution, event: ChildRejected) -> ParentExecution:
    before = child_of(execution, event.order_ref).state
    execution = with_status(execution, event.order_ref, ChildState.REJECTED, event.filled, 0)
    is_news = execution.children[event.order_ref].state is ChildState.REJECTED
    if before is ChildState.REJECTED or not is_news:
        return execution
    return replace(execution, last_rejection=event.reason)


def _unproven(execution: ParentExecution) -> ParentExecution:
    """Mark every child that the broker has not shown as UNKNOWN; it keeps its exposure."""
    for order_ref, child in execution.children.items():
        if child.state in (ChildState.INTENT, ChildState.SENT):
            execution = with_state(execution, order_ref, ChildState.UNKNOWN)
    return execution


def _cancel_working(execution: ParentExecution) -> tuple[ParentExecution, list[CancelChild]]:
    """Ask once per connection for the end of every child that works while nothing should.

    An UNKNOWN child is not among them: after a gateway restart its order id may be another order's.
    """
    wanted = execution.state in _STOPPED or execution.state.is_terminal or execution.over
    if not wanted or not execution.reconciled:
        return execution, []
    working: dict[str, str] = {}
    for order_ref, child in execution.children.items():
        alive = len(living(execution.orders_of.get(order_ref, {})))
        if child.state in _WORKING_CHILD or alive:
            # One cancel ends one order: another is asked for while others under its name live.
            working[order_ref] = f"{order_ref} of {alive}" if alive > 1 else order_ref
    news = [ref for ref, name in working.items() if name not in execution.cancels_asked]
    if not news:
        return execution, []
    asked = execution.cancels_asked.union(working[ref] for ref in news)
    return replace(execution, cancels_asked=asked), [CancelChild(ref) for ref in news]


def _finish(execution: ParentExecution) -> ParentExecution:
    """Move the parent to its terminal state once every child has ended and nothing more can come.

    A paused parent waits for its resume or the close. A share that a status reported and whose
    execution has not come keeps the parent open.
    """
    if execution.state.is_terminal or not execution.is_quiet:
        return execution
    if execution.state is ParentState.PAUSED and not execution.closed:
        return execution
    cancelling = execution.state is ParentState.CANCELLING
    is_last = cancelling or execution.over or no_attempt_left(execution)
    if not (is_last or execution.unallocated <= 0) or not execution.is_settled:
        return execution
    filled = execution.filled
    if execution.quarantine or filled > execution.parent.quantity:
        state = ParentState.FAILED
    elif filled == execution.parent.quantity:
        state = ParentState.FILLED
    elif cancelling:
        state = ParentState.CANCELLED
    else:
        state = ParentState.EXPIRED
    parts = (execution.quarantine, execution.reason, _tally(execution), _rejection(execution))
    return replace(execution, state=state, reason="; ".join(part for part in parts if part))


def _tally(execution: ParentExecution) -> str:
    filled, quantity = execution.filled, execution.parent.quantity
    if filled == quantity:
        return f"filled all {quantity} shares"
    word = "over" if filled > quantity else "short"
    return f"filled {filled} of {quantity} shares, {abs(quantity - filled)} {word}"


def _rejection(execution: ParentExecution) -> str:
    if not execution.last_rejection or execution.filled >= execution.parent.quantity:
        return ""
    return f"last rejection: {execution.last_rejection}"
