"""Which child order the schedule asks for now, if any, and when it is worth asking.

Every slice but the last sends once: what it leaves is the next one's. The last has no next one, so
it sends again, spread over its span, until the parent is filled or its attempts are used up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

from models.domain.market_rules import REG_NMS, MarketRule
from models.domain.orders import ChildOrder, ChildState, ParentState, Quote
from models.execution.pricing import marketable_limit
from models.execution.state import ParentExecution

TIF = "IOC"
MOST_REJECTIONS = 2  # of one slice: a third would say the same again


def asking_times(execution: ParentExecution) -> tuple[datetime, ...]:
    """Return the moments (UTC) to ask for a child: each slice's opening, then the last's retries.

    The retries divide the last slice evenly: attempt k of n opens k - 1 n-ths into it.
    """
    due = execution.curve.due_times()
    attempts = execution.policy.last_attempts
    span = execution.curve.end - due[-1]
    return due + tuple(due[-1] + span * k / attempts for k in range(1, attempts))


def next_child(
    execution: ParentExecution,
    now: datetime,
    quote: Quote | None,
    rule: MarketRule = REG_NMS,
) -> ChildOrder | None:
    """Return the intent for the slice that `now` lies in, or None when nothing may be sent.

    Its quantity brings the parent to what the curve plans for the end of the slice, counting every
    share that is done or may still be, and at most `catch_up` times the scheduled slice (at least
    one share); the last slice sweeps the rest. A slice sends once: it gets another attempt only
    when every earlier one is proven never sent. The last slice gets one more at each of its asking
    times, once every earlier one has ended. No child without a sane quote of the symbol. Its
    price is on a tick of `rule`.
    """
    slice_no = bisect_right(execution.curve.due_times(), now)
    own = [child for child in execution.children.values() if child.slice_no == slice_no]
    if not _may_send(execution, slice_no, own, now) or quote is None:
        return None
    parent, policy = execution.parent, execution.policy
    quantity = _wanted(execution, slice_no)
    if quantity <= 0 or quote.symbol != parent.symbol:
        return None
    price = marketable_limit(parent.side, quote, policy.offset_bps, parent.limit_price, rule)
    if price is None:
        return None
    return ChildOrder(
        parent_id=parent.parent_id,
        slice_no=slice_no,
        attempt=max([child.attempt for child in own], default=0) + 1,
        symbol=parent.symbol,
        side=parent.side,
        quantity=quantity,
        limit_price=price,
        tif=TIF,
    )


def no_attempt_left(execution: ParentExecution) -> bool:
    """Say whether the last slice has had all its attempts (those proven never sent don't count)."""
    last = len(execution.curve.due_times())
    tried = _tried([child for child in execution.children.values() if child.slice_no == last])
    rejected = sum(child.state is ChildState.REJECTED for child in tried)
    return len(tried) >= execution.policy.last_attempts or rejected >= MOST_REJECTIONS


def _may_send(
    execution: ParentExecution, slice_no: int, own: Sequence[ChildOrder], now: datetime
) -> bool:
    """Say whether the slice may send; `own` are its children so far."""
    if execution.state is not ParentState.WORKING or not execution.reconciled or execution.over:
        return False
    if slice_no < 1 or now >= execution.curve.end:
        return False
    children = execution.children.values()
    if not all(c.state.is_terminal and c.slice_no <= slice_no for c in children):
        return False
    tried = len(_tried(own))
    if not tried:
        return True
    due = execution.curve.due_times()
    if slice_no < len(due) or no_attempt_left(execution):
        return False
    return now >= asking_times(execution)[slice_no - 1 + tried]


def _tried(children: Sequence[ChildOrder]) -> list[ChildOrder]:
    """Return those of a slice's children that were sent, or may have been."""
    return [child for child in children if child.state is not ChildState.NEVER_SENT]


def _wanted(execution: ParentExecution, slice_no: int) -> int:
    due = execution.curve.due_times()
    if slice_no == len(due):
        return execution.unallocated
    planned = execution.curve.planned(due[slice_no])
    scheduled = max(1, planned - execution.curve.planned(due[slice_no - 1]))
    most = int(execution.policy.catch_up * scheduled)
    return min(planned - execution.exposure, most)
