"""Orders that were proven never sent and arrive after all, beside what was sent in their place."""

import pytest

from models.domain.orders import ChildState, ParentState
from tasks.books.account_snapshot import read_account
from tasks.books.reconciliation import reconcile
from tasks.broker.ibkr import OrderConnection

pytestmark = pytest.mark.journey


@pytest.fixture
def held_back(monkeypatch):
    """Hold the first attempt at a slice back until its resend, and write both in that moment."""

    def hold(first_arrives_first):
        real, under_way = OrderConnection.send, {}

        def send(self, child):
            if child.attempt == 1 and child.slice_no == 3:
                under_way[child.slice_no] = child
                return
            both = [child]
            if child.attempt == 2:
                both.insert(0 if first_arrives_first else 1, under_way.pop(child.slice_no))
            for one in both:
                real(self, one)

        monkeypatch.setattr(OrderConnection, "send", send)

    return hold


@pytest.mark.parametrize("first_arrives_first", [True, False])
def test_what_arrives_beside_its_resend_is_one_order_and_filled_once(
    gateway, settings, ledger, make_span, make_parent, execute, held_back, first_arrives_first
):
    """The id is the same, so the gateway refuses whichever comes second (103)."""
    held_back(first_arrives_first)
    span = make_span(gateway, 9)
    parent = make_parent(span, "KO", quantity=60)
    ledger.parents.add([parent])
    execute(settings, ledger)
    record = ledger.parents.get(parent.parent_id)
    assert record.state is ParentState.FILLED, record.reason
    first, again = [c for c in ledger.children.of_parent(parent.parent_id) if c.slice_no == 3]
    assert (first.state, again.state) == (ChildState.NEVER_SENT, ChildState.FILLED)
    evidence = read_account(settings)
    names = {f.order_ref for f in evidence.fills if f.perm_id == again.perm_id}
    assert names == {first.order_ref if first_arrives_first else again.order_ref}
    assert sum(f.quantity for f in ledger.executions.fills_of(parent.parent_id)) == 60
    kinds = {event.kind for event in ledger.events.of_order(again.order_ref)}
    assert ("reissued" in kinds) is first_arrives_first
    assert reconcile(ledger, evidence).agrees
    assert ledger.check() == []
