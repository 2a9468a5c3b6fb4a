"""A row of the children's table, as the domain has it."""

from __future__ import annotations

from models.domain.orders import ChildOrder, ChildState, OrderKind, Side
from models.execution.child_state import ChildFacts
from warehouse.ledger.encoding import optional_money
from warehouse.ledger.statements import LedgerRow


def facts_of(row: LedgerRow) -> ChildFacts:
    """Return what a row of the children's table knows, as the state machine takes it."""
    return ChildFacts(row.quantity, ChildState(row.state), row.reported, row.gross, row.executed)


def child_of(row: LedgerRow) -> ChildOrder:
    """Return the child order that a row holds."""
    return ChildOrder(
        parent_id=row.parent_id,
        slice_no=row.slice_no,
        attempt=row.attempt,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        limit_price=optional_money(row.limit_price),
        tif=row.tif,
        state=ChildState(row.state),
        filled=row.executed + max(0, row.reported - row.gross),
        order_id=row.order_id,
        perm_id=row.perm_id,
        kind=OrderKind(row.kind),
        stop_price=optional_money(row.stop_price),
        oca_group=row.oca_group,
    )
