"""A resting bracket: a stop and a limit target for the same shares, of which one ends the other."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from models.domain.orders import ChildOrder, ChildState, OrderKind
from models.execution.state import ParentExecution

STOP_SLICE, TARGET_SLICE = 1, 2
TIF = "GTC"


def bracket_children(
    execution: ParentExecution, stop: Decimal, target: Decimal
) -> tuple[ChildOrder, ...]:
    """Return the orders that the bracket still lacks, the stop first.

    A slice lacks one when it has none, or only attempts that are proven never sent: those are
    tried again under the next attempt. Prices in USD.
    """
    found: list[ChildOrder] = []
    parent = execution.parent
    for slice_no in (STOP_SLICE, TARGET_SLICE):
        attempts = [c for c in execution.children.values() if c.slice_no == slice_no]
        if any(child.state is not ChildState.NEVER_SENT for child in attempts):
            continue
        is_stop = slice_no == STOP_SLICE
        found.append(
            ChildOrder(
                parent_id=parent.parent_id,
                slice_no=slice_no,
                attempt=1 + max((child.attempt for child in attempts), default=0),
                symbol=parent.symbol,
                side=parent.side,
                quantity=parent.quantity,
                limit_price=None if is_stop else target,
                tif=TIF,
                kind=OrderKind.STOP if is_stop else OrderKind.LIMIT,
                stop_price=stop if is_stop else None,
                oca_group=parent.parent_id,
            )
        )
    return tuple(found)


def levels_of(execution: ParentExecution) -> tuple[Decimal, Decimal] | None:
    """Return the stop and target (USD) of a bracket's orders, None unless it has both."""
    stops = [c.stop_price for c in execution.children.values() if c.stop_price is not None]
    targets = [c.limit_price for c in execution.children.values() if c.limit_price is not None]
    return (stops[-1], targets[-1]) if stops and targets else None


def is_broken(execution: ParentExecution) -> bool:
    """Say whether an order of the bracket has ended: the other no longer has its counterpart."""
    return any(
        child.state.is_terminal and child.state is not ChildState.NEVER_SENT
        for child in execution.children.values()
    )


def filled_since(execution: ParentExecution, moment: datetime) -> bool:
    """Say whether an exit has traded since `moment` (UTC)."""
    return any(fill.quantity and fill.at >= moment for fill in execution.executions)
