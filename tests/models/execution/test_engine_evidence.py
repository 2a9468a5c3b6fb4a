"""Disconnects, restarts, corrections and brokers that contradict themselves."""

from dataclasses import replace
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading
from models.domain.orders import ChildOrder, ChildState, ParentState, Side
from models.execution import events as ev
from models.execution.commands import CancelChild, FinishParent, PlaceChild
from models.execution.engine import restore, step
from models.execution.state import SlicingPolicy

CHILD = ChildOrder("p", 1, 1, "KO", Side.BUY, 25, Decimal("60.04"), "IOC")


def run(execution, *events):
    commands = []
    for event in events:
        execution, more = step(execution, event)
        commands.extend(more)
    return execution, commands


@pytest.fixture
def flying(working, at, quote):
    """The first child is on its way."""
    return run(working(), ev.SliceDue(at(0), quote), ev.ChildSent("p.1.1", 42))[0]


def test_an_unproven_child_is_unknown_and_blocks_until_it_is_proven(flying, at, quote):
    execution, _ = run(flying, ev.ConnectionLost(at(1)), ev.Reconciled(at(2)))
    assert execution.children["p.1.1"].state is ChildState.UNKNOWN
    assert execution.exposure == 25
    execution, commands = run(execution, ev.SliceDue(at(3), quote), ev.Reconciled(at(4)))
    assert commands == []
    execution, commands = run(execution, ev.ProvenNeverSent("p.1.1"), ev.SliceDue(at(5), quote))
    assert [command.child.order_ref for command in commands] == ["p.1.2"]


def test_evidence_adopts_an_unknown_child_by_order_ref(flying, at, quote, fill):
    shown = ev.ChildEvidence("p.1.1", ChildState.CANCELLED, 20, 7)
    other = ev.ChildEvidence("q.1.1", ChildState.ACKED, 0, 8)
    news = ev.Reconciled(at(2), (shown, other), (fill("p.1.1", 20), fill("q.1.1", 5, "f.1.01")))
    execution, _ = run(flying, ev.ConnectionLost(at(1)), news)
    child = execution.children["p.1.1"]
    assert (child.state, child.filled, child.perm_id) == (ChildState.CANCELLED, 20, 7)
    assert (execution.filled, execution.unallocated) == (20, 80)


def test_proof_of_absence_yields_to_evidence(flying, at):
    execution, _ = run(flying, ev.ChildAcked("p.1.1", 7), ev.ProvenNeverSent("p.1.1"))
    assert execution.children["p.1.1"].state is ChildState.ACKED


def test_a_proof_is_taken_for_unknown_children_only(flying):
    execution, commands = step(flying, ev.ProvenNeverSent("p.1.1"))
    assert (execution, commands) == (flying, ())


def test_a_child_that_turns_up_after_its_proof_counts_again(flying, at, quote):
    execution, commands = run(
        flying,
        ev.ConnectionLost(at(1)),
        ev.Reconciled(at(2)),
        ev.ProvenNeverSent("p.1.1"),
        ev.ChildAcked("p.1.1", 7),
    )
    assert commands == []
    assert (execution.state, execution.quarantine) == (ParentState.WORKING, "")
    assert execution.exposure == execution.children["p.1.1"].quantity
    assert step(execution, ev.SliceDue(at(10), quote))[1] == (), "nothing beside it"


def test_a_child_that_turns_up_when_its_shares_are_done_already_is_cancelled(flying, at, fill):
    """Proven absent, and then a later slice did them all: it has no room any more."""
    first = flying.children["p.1.1"]
    later = replace(first, slice_no=2, order_id=43)
    two = replace(
        flying,
        parent=replace(flying.parent, quantity=25),
        children={"p.1.1": replace(first, state=ChildState.NEVER_SENT), "p.2.1": later},
        reconciled=True,
    )
    execution, commands = run(two, ev.ChildFilled(fill("p.2.1", 25)), ev.ChildAcked("p.1.1", 7))
    assert CancelChild("p.1.1") in commands
    assert "worst case 50 of 25 shares" in execution.quarantine


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([("ack", 7), ("ack", 8)], "two orders carry p.1.1"),
        ([("ack", 7), ("fill", 26)], "for 25 shares was filled with 26"),
        ([("reject", 0), ("fill", 5)], "was rejected, and now"),
    ],
)
def test_a_contradiction_pauses_for_a_person(flying, fill, events, words):
    make = {
        "ack": lambda perm_id: ev.ChildAcked("p.1.1", perm_id),
        "fill": lambda shares: ev.ChildFilled(fill("p.1.1", shares)),
        "reject": lambda filled: ev.ChildRejected("p.1.1", "201", filled),
    }
    execution, _ = run(flying, *(make[kind](number) for kind, number in events))
    assert execution.state is ParentState.PAUSED
    assert words in execution.quarantine


def test_a_reported_fill_counts_before_its_execution_comes(flying, at, quote, fill):
    """A cancel overtakes its executions: what the broker filled is not free."""
    execution, commands = run(flying, ev.ChildCancelled("p.1.1", 20), ev.SliceDue(at(10), quote))
    assert (execution.filled, execution.children["p.1.1"].filled) == (0, 20)
    assert [command.child.quantity for command in commands] == [30]
    execution, _ = run(execution, ev.ChildFilled(fill("p.1.1", 20)))
    assert execution.filled == 20
    assert not execution.quarantine


def test_a_correction_replaces_and_a_bust_removes(flying, fill):
    execution, _ = run(
        flying,
        ev.ChildFilled(fill("p.1.1", 20, "e.1.01")),
        ev.ChildFilled(fill("p.1.1", 5, "e.2.01")),
        ev.ChildFilled(fill("p.1.1", 20, "e.1.02", price=Decimal("60.00"))),
    )
    assert [(f.exec_id, f.price) for f in execution.executions] == [
        ("e.1.02", Decimal("60.00")),
        ("e.2.01", Decimal("60.01")),
    ]
    execution, _ = run(execution, ev.ChildFilled(fill("p.1.1", 0, "e.1.03")))
    assert execution.filled == 5
    assert execution.unallocated == 95


def test_busted_shares_are_planned_again(flying, at, quote, fill):
    _, commands = run(
        flying,
        ev.ChildFilled(fill("p.1.1", 25, "e.1.01")),
        ev.ChildFilled(fill("p.1.1", 0, "e.1.02")),
        ev.SliceDue(at(10), quote),
    )
    assert [command.child.quantity for command in commands] == [50]


def test_an_order_that_was_never_committed_halts(working, at, fill):
    stranger = ev.ChildEvidence("p.9.1", ChildState.ACKED, 0, 7)
    with pytest.raises(HaltTrading, match=r"p\.9\.1"):
        step(working(), ev.Reconciled(at(0), (stranger,)))
    with pytest.raises(HaltTrading, match=r"p\.9\.1"):
        step(working(), ev.ChildFilled(fill("p.9.1", 1)))


@pytest.mark.parametrize("changes", [{"symbol": "PEP"}, {"side": Side.SELL}])
def test_an_execution_of_another_instrument_halts(flying, fill, changes):
    with pytest.raises(HaltTrading, match=r"e\.1\.01"):
        step(flying, ev.ChildFilled(fill("p.1.1", 1, **changes)))


def test_unknown_children_are_not_cancelled_by_order_id(flying, at):
    execution, commands = run(
        flying, ev.ConnectionLost(at(1)), ev.CancelRequested("stop"), ev.Reconciled(at(2))
    )
    assert commands == []
    _, commands = step(execution, ev.ChildAcked("p.1.1", 7))
    assert commands == (CancelChild("p.1.1"),)


def test_a_restart_goes_on_from_the_rows(parent, at, quote, fill):
    rows = [
        replace(CHILD, state=ChildState.FILLED, filled=25, perm_id=7, order_id=1),
        replace(CHILD, slice_no=2, state=ChildState.SENT, order_id=2),
    ]
    execution = restore(parent, SlicingPolicy(4), rows, [fill("p.1.1", 25)], ParentState.WORKING)
    assert execution.children["p.2.1"].state is ChildState.UNKNOWN
    assert execution.children["p.2.1"].order_id == 2
    shown = ev.ChildEvidence("p.2.1", ChildState.CANCELLED, 0, 8)
    _, commands = run(execution, ev.Reconciled(at(12), (shown,)), ev.SliceDue(at(20), quote))
    assert [(c.child.order_ref, c.child.quantity) for c in commands] == [("p.3.1", 50)]


def test_a_restart_keeps_reported_shares_whose_executions_are_not_in_the_rows(parent, fill):
    """60 executed and busted, 40 more reported: the ledger's row says filled = 0 + 40."""
    row = replace(CHILD, quantity=100, state=ChildState.CANCELLED, filled=40)
    fills = [fill("p.1.1", 60, "e.1.01"), fill("p.1.1", 0, "e.1.02")]
    execution = restore(parent, SlicingPolicy(4), [row], fills)
    assert execution.children["p.1.1"].filled == 40
    assert execution.reported["p.1.1"] == 100


def test_rows_that_exceed_the_parent_are_quarantined(parent, at, quote):
    rows = [replace(CHILD, quantity=60), replace(CHILD, quantity=60, slice_no=2)]
    execution = restore(parent, SlicingPolicy(4), rows)
    assert execution.state is ParentState.PAUSED
    assert "120 of 100" in execution.quarantine
    _, commands = run(execution, ev.Reconciled(at(0)), ev.SliceDue(at(20), quote))
    assert commands == []


def test_a_terminal_parent_absorbs_evidence_and_sends_nothing(working, at, quote, fill):
    execution, commands = run(
        working(), ev.SliceDue(at(30), quote), ev.ChildFilled(fill("p.4.1", 100))
    )
    assert commands[-1] == FinishParent(ParentState.FILLED, "filled all 100 shares")
    execution, commands = run(
        execution,
        ev.ChildFilled(fill("p.4.1", 0, "e.1.02")),
        ev.ResumeRequested(),
        ev.CancelRequested("late"),
        ev.SliceDue(at(35), quote),
    )
    assert commands == []
    assert (execution.state, execution.filled) == (ParentState.FILLED, 0)


def test_a_denied_intent_leaves_no_trace_when_the_shell_keeps_the_old_state(working, at, quote):
    execution = working()
    _, denied = step(execution, ev.SliceDue(at(0), quote))
    _, again = step(execution, ev.SliceDue(at(1), quote))
    assert isinstance(denied[0], PlaceChild)
    assert denied == again
