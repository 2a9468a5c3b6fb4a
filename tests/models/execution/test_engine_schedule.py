"""What the schedule sends, and when the parent ends."""

from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading, InvalidInput
from models.domain.orders import ChildState, ParentState
from models.execution import events as ev
from models.execution.commands import CancelChild, FinishParent, PlaceChild
from models.execution.engine import restore, step
from models.execution.planning import asking_times
from models.execution.state import SlicingPolicy


def run(execution, *events):
    """Feed events and return the last state with all commands."""
    commands = []
    for event in events:
        execution, more = step(execution, event)
        commands.extend(more)
    return execution, commands


def done(ref, fill, shares, exec_id):
    return (
        ev.ChildSent(ref),
        ev.ChildFilled(fill(ref, shares, exec_id)),
        ev.ChildCancelled(ref, shares),
    )


def test_each_slice_sends_its_planned_shares_with_a_marketable_limit(working, at, quote, fill):
    execution, commands = working(), []
    for n in range(4):
        execution, placed = step(execution, ev.SliceDue(at(10 * n), quote))
        commands.extend(placed)
        execution, more = run(execution, *done(f"p.{n + 1}.1", fill, 25, f"e.{n}.01"))
        commands.extend(more)
    children = [command.child for command in commands if isinstance(command, PlaceChild)]
    assert [child.order_ref for child in children] == ["p.1.1", "p.2.1", "p.3.1", "p.4.1"]
    assert {(c.quantity, c.limit_price, c.tif) for c in children} == {(25, Decimal("60.04"), "IOC")}
    assert commands[-1] == FinishParent(ParentState.FILLED, "filled all 100 shares")


def test_nothing_is_sent_before_the_start_or_after_the_end(working, at, quote):
    early, commands = step(working(), ev.SliceDue(at(-0.01), quote))
    assert commands == ()
    _, commands = step(early, ev.SliceDue(at(40), quote))
    assert commands == (FinishParent(ParentState.EXPIRED, "filled 0 of 100 shares, 100 short"),)


def test_nothing_is_sent_before_the_first_reconciliation(parent, at, quote):
    execution = restore(parent, SlicingPolicy(4))
    _, commands = step(execution, ev.SliceDue(at(0), quote))
    assert commands == ()
    _, commands = run(execution, ev.Reconciled(at(0)), ev.SliceDue(at(0), quote))
    assert [command.child.quantity for command in commands] == [25]


def test_a_child_waits_for_the_end_of_the_one_before(working, at, quote, fill):
    execution, _ = run(working(), ev.SliceDue(at(0), quote), ev.ChildSent("p.1.1"))
    blocked, commands = step(execution, ev.SliceDue(at(10), quote))
    assert commands == ()
    _, commands = run(blocked, ev.ChildCancelled("p.1.1", 0), ev.SliceDue(at(11), quote))
    assert [(c.child.order_ref, c.child.quantity) for c in commands] == [("p.2.1", 50)]


@pytest.mark.parametrize(("catch_up", "shares"), [("1", 25), ("1.5", 37), ("2", 50), ("3", 75)])
def test_catch_up_is_bounded_by_multiples_of_the_slice(working, at, quote, catch_up, shares):
    _, commands = step(working(catch_up=catch_up), ev.SliceDue(at(20), quote))
    assert commands[0].child.quantity == shares


def test_the_last_slice_sweeps_the_rest(working, at, quote):
    _, commands = step(working(catch_up="1"), ev.SliceDue(at(30), quote))
    assert commands[0].child.quantity == 100


def test_a_bad_quote_skips_and_the_slice_may_be_asked_again(working, at, quote):
    execution, commands = step(working(), ev.SliceDue(at(0), None))
    assert commands == ()
    _, commands = step(execution, ev.SliceDue(at(1), quote))
    assert commands[0].child.order_ref == "p.1.1"


def test_a_quote_beyond_the_parents_limit_sends_nothing(working, at, quote):
    execution = working(limit_price=Decimal("60.00"))
    assert step(execution, ev.SliceDue(at(0), quote))[1] == ()


def test_a_slice_with_a_rejected_child_is_left_to_the_next(working, at, quote):
    execution, _ = run(
        working(), ev.SliceDue(at(0), quote), ev.ChildSent("p.1.1"), ev.ChildRejected("p.1.1", "no")
    )
    assert step(execution, ev.SliceDue(at(1), quote))[1] == ()
    _, commands = step(execution, ev.SliceDue(at(10), quote))
    assert (commands[0].child.order_ref, commands[0].child.quantity) == ("p.2.1", 50)
    _, commands = step(execution, ev.SliceDue(at(40), quote))
    assert commands[0].reason == "filled 0 of 100 shares, 100 short; last rejection: no"


def test_a_parent_expires_with_its_shortfall_once_its_time_is_over(working, at, quote, fill):
    execution, commands = run(
        working(), ev.SliceDue(at(30), quote), *done("p.4.1", fill, 60, "e.1.01")
    )
    assert [type(command) for command in commands] == [PlaceChild]
    assert execution.unallocated == 40
    _, commands = step(execution, ev.SliceDue(at(40), quote))
    assert commands == (FinishParent(ParentState.EXPIRED, "filled 60 of 100 shares, 40 short"),)


def test_the_last_slice_sends_what_is_left_until_it_is_filled(working, at, quote, fill):
    """Attempts open evenly over the slice: 0, 2.5, 5 and 7.5 minutes into it."""
    execution = working()
    assert asking_times(execution)[3:] == tuple(at(30 + k) for k in (0, 2.5, 5, 7.5))
    execution, _ = run(execution, ev.SliceDue(at(30), quote), *done("p.4.1", fill, 60, "e.1.01"))
    assert step(execution, ev.SliceDue(at(32.4), quote))[1] == (), "too soon"
    execution, commands = step(execution, ev.SliceDue(at(32.5), quote))
    assert [(c.child.order_ref, c.child.quantity) for c in commands] == [("p.4.2", 40)]
    assert step(execution, ev.SliceDue(at(35), quote))[1] == (), "the second has not ended"
    execution, commands = run(execution, *done("p.4.2", fill, 40, "e.2.01"))
    assert commands == [FinishParent(ParentState.FILLED, "filled all 100 shares")]


def test_the_last_slice_gives_up_after_its_attempts(working, at, quote):
    execution, commands = working(), []
    for k in range(4):
        execution, more = run(
            execution,
            ev.SliceDue(at(30 + 2.5 * k), quote),
            ev.ChildSent(f"p.4.{k + 1}"),
            ev.ChildCancelled(f"p.4.{k + 1}", 0),
        )
        commands += more
    assert [type(command) for command in commands] == [PlaceChild] * 4 + [FinishParent]


def test_the_last_slice_gives_up_after_two_rejections(working, at, quote):
    execution, commands = working(), []
    for k in range(2):
        ref = f"p.4.{k + 1}"
        execution, more = run(
            execution, ev.SliceDue(at(30 + 2.5 * k), quote), ev.ChildRejected(ref, "201 price")
        )
        commands += more
    assert commands[-1].state is ParentState.EXPIRED
    assert "last rejection: 201 price" in commands[-1].reason


def test_attempts_proven_never_sent_are_not_counted(working, at, quote):
    execution, _ = run(working(), ev.SliceDue(at(30), quote), ev.ConnectionLost(at(30)))
    execution, _ = run(execution, ev.Reconciled(at(30)), ev.ProvenNeverSent("p.4.1"))
    _, commands = step(execution, ev.SliceDue(at(30), quote))
    assert [c.child.order_ref for c in commands] == ["p.4.2"]


def test_a_reported_share_without_its_execution_keeps_the_parent_open(working, at, quote, fill):
    execution, _ = run(working(), ev.SliceDue(at(30), quote), ev.ChildAcked("p.4.1", 7, 100))
    assert execution.children["p.4.1"].state is ChildState.FILLED
    assert not execution.state.is_terminal
    _, commands = step(execution, ev.ChildFilled(fill("p.4.1", 100)))
    assert commands == (FinishParent(ParentState.FILLED, "filled all 100 shares"),)


def test_nothing_is_sent_after_the_close_while_executions_are_awaited(working, at, quote):
    execution, _ = run(
        working(),
        ev.SliceDue(at(0), quote),
        ev.ChildCancelled("p.1.1", 20),
        ev.SessionClosed(at(5)),
    )
    assert not execution.state.is_terminal
    assert step(execution, ev.SliceDue(at(10), quote))[1] == ()


def test_pause_cancels_what_works_and_resume_goes_on(working, at, quote):
    execution, _ = run(working(), ev.SliceDue(at(0), quote), ev.ChildSent("p.1.1"))
    execution, commands = step(execution, ev.PauseRequested("lunch"))
    assert commands == (CancelChild("p.1.1"),)
    execution, commands = run(
        execution,
        ev.ChildCancelled("p.1.1", 0),
        ev.SliceDue(at(10), quote),
        ev.SliceDue(at(40), quote),
    )
    assert commands == []
    execution, commands = step(execution, ev.ResumeRequested())
    assert commands[0].state is ParentState.EXPIRED


def test_cancel_waits_for_the_broker_and_absorbs_the_late_fill(working, at, quote, fill):
    execution, commands = run(
        working(), ev.SliceDue(at(0), quote), ev.ChildSent("p.1.1"), ev.CancelRequested("enough")
    )
    assert commands[-1] == CancelChild("p.1.1")
    execution, commands = run(execution, ev.ChildCancelled("p.1.1", 10))
    assert commands == []
    _, commands = step(execution, ev.ChildFilled(fill("p.1.1", 10)))
    reason = "enough; filled 10 of 100 shares, 90 short"
    assert commands == (FinishParent(ParentState.CANCELLED, reason),)


def test_the_close_ends_a_paused_parent(working, at):
    _, commands = run(working(), ev.PauseRequested("lunch"), ev.SessionClosed(at(390)))
    assert commands[0].state is ParentState.EXPIRED


def test_abandoning_ends_an_unresolved_parent_as_failed(working, at, quote):
    execution, commands = run(
        working(), ev.SliceDue(at(0), quote), ev.ConnectionLost(at(1)), ev.Abandoned("no gateway")
    )
    reason = "no gateway; filled 0 of 100 shares, 100 short"
    assert commands[-1] == FinishParent(ParentState.FAILED, reason)
    assert execution.children["p.1.1"].leaves == 25


def test_the_exposure_guard_halts(working, at, quote, monkeypatch):
    monkeypatch.setattr("models.execution.planning._wanted", lambda *_: 101)
    with pytest.raises(HaltTrading, match=r"worst case to 101 of 100 shares"):
        step(working(), ev.SliceDue(at(0), quote))


@pytest.mark.parametrize(
    "wrong",
    [
        {"slices": 0},
        {"slices": 1001},
        {"offset_bps": Decimal(-1)},
        {"offset_bps": Decimal("NaN")},
        {"catch_up": Decimal("0.9")},
        {"catch_up": Decimal("Infinity")},
    ],
)
def test_a_policy_out_of_range_is_refused_by_name(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        SlicingPolicy(**wrong)
