"""Which child order the schedule asks for now, if any."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime

from models.domain.orders import ChildOrder, ChildState, ParentState, Quote
from models.execution.pricing import marketable_limit
from models.execution.state import ParentExecution

TIF = "IOC"


def next_child(execution: ParentExecution, now: datetime, quote: Quote | None) -> ChildOrder | None:
    """Return the intent for the slice that `now` lies in, or None when nothing may be sent.

    Its quantity brings the parent to what the curve plans for the end of the slice, counting every
    share that is done or may still be, and at most `catch_up` times the scheduled slice (at least
    one share); the last slice sweeps the rest. A slice sends once: it gets another attempt only
    when every earlier one is proven never sent. No child without a sane quote of the symbol.
    """
    slice_no = bisect_right(execution.curve.due_times(), now)
    if not _may_send(execution, slice_no, now) or quote is None:
        return None
    parent, policy = execution.parent, execution.policy
    quantity = _wanted(execution, slice_no)
    if quantity <= 0 or quote.symbol != parent.symbol:
        return None
    price = marketable_limit(parent.side, quote, policy.offset_bps, parent.limit_price)
    if price is None:
        return None
    attempts = [c.attempt for c in execution.children.values() if c.slice_no == slice_no]
    return ChildOrder(
        parent_id=parent.parent_id,
        slice_no=slice_no,
        attempt=max(attempts, default=0) + 1,
        symbol=parent.symbol,
        side=parent.side,
        quantity=quantity,
        limit_price=price,
        tif=TIF,
    )


def last_slice_sent(execution: ParentExecution) -> bool:
    """Say whether the last slice has had its child (attempts proven never sent don't count)."""
    last = len(execution.curve.due_times())
    return any(
        child.slice_no == last and child.state is not ChildState.NEVER_SENT
        for child in execution.children.values()
    )


def _may_send(execution: ParentExecution, slice_no: int, now: datetime) -> bool:
    if execution.state is not ParentState.WORKING or not execution.reconciled or execution.over:
        return False
    if slice_no < 1 or now >= execution.curve.end:
        return False
    return all(
        child.state.is_terminal
        and child.slice_no <= slice_no
        and (child.slice_no < slice_no or child.state is ChildState.NEVER_SENT)
        for child in execution.children.values()
    )


def _wanted(execution: ParentExecution, slice_no: int) -> int:
    due = execution.curve.due_times()
    if slice_no == len(due):
        return execution.unallocated
    planned = execution.curve.planned(due[slice_no])
    scheduled = max(1, planned - execution.curve.planned(due[slice_no - 1]))
    most = int(execution.policy.catch_up * scheduled)
    return min(planned - execution.exposure, most)
