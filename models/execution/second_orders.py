"""Two orders at the broker under one name: a change or a resend that made a second one.

What carries a child's name under another permanent id works beside it. Each of the two is followed
by its own id: the child ends with the last of them, both count as exposure, and executions count
once each whichever order they are of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from models.domain.orders import ChildOrder, ChildState, Fill
from models.execution.child_state import Evidence, Told
from models.execution.fills import gross_quantity
from models.execution.state import ParentExecution

_ENDS = frozenset({ChildState.FILLED, ChildState.CANCELLED, ChildState.REJECTED})


def told_apart(
    execution: ParentExecution, child: ChildOrder, evidence: Evidence, perm_id: int
) -> tuple[ParentExecution, Evidence, str]:
    """Note which of a child's orders the evidence is of; return what it says of the child.

    Also what a person must look at, when a second order shows itself at work. The end of one order
    says only how many shares were done while another lives.
    """
    known = execution.orders_of.get(child.order_ref)
    is_second = bool(perm_id and child.perm_id and perm_id != child.perm_id)
    if known is None and not is_second:
        return execution, evidence, ""
    is_over = _is_over(execution, child, evidence, perm_id)
    if known is None:
        done = gross_quantity(_fills_of(execution, child, perm_id))
        if is_over and isinstance(evidence, Told) and evidence.filled <= done:
            return execution, Told(child.state), ""  # it came and went, and all it did is known
        known = {child.perm_id or 0: child.state.is_terminal}
    trouble = ""
    if perm_id and perm_id not in known:
        trouble = f"two orders carry {child.order_ref}: permId {child.perm_id} and {perm_id}"
    if perm_id:
        known = {**known, perm_id: known.get(perm_id, False) or is_over}
        orders_of = {**execution.orders_of, child.order_ref: known}
        execution = replace(execution, orders_of=orders_of)
    if isinstance(evidence, Told) and evidence.state in _ENDS and not all(known.values()):
        evidence = Told(ChildState.ACKED, evidence.filled)
    return execution, evidence, trouble


def living(orders: Mapping[int, bool]) -> list[int]:
    """Return the permanent ids of the orders that are not proven over."""
    return sorted(perm_id for perm_id, is_over in orders.items() if not is_over)


def _is_over(
    execution: ParentExecution, child: ChildOrder, evidence: Evidence, perm_id: int
) -> bool:
    if isinstance(evidence, Told):
        return evidence.state in _ENDS or evidence.filled >= child.quantity
    return gross_quantity(_fills_of(execution, child, perm_id)) >= child.quantity


def _fills_of(execution: ParentExecution, child: ChildOrder, perm_id: int) -> list[Fill]:
    known = execution.fills.get(child.order_ref, ())
    return [fill for fill in known if fill.perm_id == perm_id]
