"""What ended before a restart still counts in the progress of the session."""

from decimal import Decimal

from models.domain.orders import ChildState, Fill, ParentState
from tasks.session.recovery import ended_shares, recover


async def test_progress_of_a_rerun_counts_the_parents_that_have_ended(
    start_desk, make_parent, broker, minute
):
    done, at_work, denied = make_parent("KO"), make_parent("PEP"), make_parent("WMT")
    desk = start_desk(done, at_work, denied)
    ledger = desk.ledger
    await recover(desk, 0)
    desk.slice_due(minute(0))
    child = next(c for c in ledger.children.of_parent(done.parent_id))
    assert child.state is ChildState.SENT
    fill = Fill("1.1", child.order_ref, "KO", done.side, 30, Decimal("50"), broker.now, 1)
    ledger.executions.record(fill, "SIM1")
    ledger.parents.set_state(done.parent_id, ParentState.CANCELLED, "by hand")
    ledger.parents.set_state(denied.parent_id, ParentState.REJECTED, "too large")
    found = ended_shares(ledger, done.session, {at_work.parent_id})
    assert found == (30, done.quantity), "filled, ordered; what was denied never was work"
