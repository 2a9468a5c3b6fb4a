"""Two orders under one name: whatever the order of evidence, nothing is lost or counted twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from models.domain.orders import Fill, ParentOrder, ParentState, Quote, Side
from models.execution import events as ev
from models.execution.commands import CancelChild, PlaceChild
from models.execution.engine import restore, step
from models.execution.state import SlicingPolicy

START = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
PARENT = ParentOrder(
    "p", START.date(), "trend", "KO", Side.BUY, 100, "TWAP", START, START + timedelta(minutes=40),
    Decimal(60), START, "m",
)  # fmt: skip
QUOTE = Quote("KO", Decimal("59.99"), Decimal("60.01"), 100, 100, START)
FIRST, SECOND = 7, 8


def flying():
    execution, _ = step(restore(PARENT, SlicingPolicy(4)), ev.Reconciled(START))
    execution, _ = step(execution, ev.SliceDue(START, QUOTE))
    execution, _ = step(execution, ev.ChildSent("p.1.1", 42))
    return step(execution, ev.ChildAcked("p.1.1", FIRST))[0]


def fills_of(perm_id, shares):
    return [
        Fill(f"{perm_id}.{n}.01", "p.1.1", "KO", Side.BUY, size, Decimal(60), START, perm_id)
        for n, size in enumerate(shares)
    ]


@st.composite
def lives(draw):
    """Both orders' evidence in some order, some of it twice, the second one's showing first."""
    told = []
    for perm_id in (FIRST, SECOND):
        shares = draw(st.lists(st.integers(1, 12), max_size=2))
        told += [ev.ChildFilled(fill) for fill in fills_of(perm_id, shares)]
        told.append(ev.ChildCancelled("p.1.1", sum(shares), perm_id))
    told = draw(st.permutations(told))
    again = draw(st.lists(st.sampled_from(told), max_size=3))
    return [*told, *again]


@given(lives())
def test_both_orders_count_once_and_the_parent_waits_for_both(told):
    execution, _ = step(flying(), ev.ChildAcked("p.1.1", SECOND))
    assert execution.state is ParentState.PAUSED
    assert "two orders carry p.1.1: permId 7 and 8" in execution.quarantine
    assert execution.exposure == 50, "25 shares of each may still fill"
    ended, commands = set(), []
    for event in told:
        execution, more = step(execution, event)
        commands += more
        if isinstance(event, ev.ChildCancelled):
            ended.add(event.perm_id)
        assert execution.is_quiet <= (ended == {FIRST, SECOND})
        assert execution.exposure >= execution.filled
    assert not [command for command in commands if isinstance(command, PlaceChild)]
    own = {e.fill.exec_id: e.fill.quantity for e in told if isinstance(e, ev.ChildFilled)}
    assert execution.filled == sum(own.values()) == execution.exposure
    assert execution.is_quiet


@given(lives(), st.randoms(use_true_random=False))
def test_the_order_of_evidence_does_not_matter(told, random):
    def after(events):
        execution, _ = step(flying(), ev.ChildAcked("p.1.1", SECOND))
        for event in events:
            execution, _ = step(execution, event)
        return replace(execution, cancels_asked=frozenset(), quarantine="")

    shuffled = list(told)
    random.shuffle(shuffled)
    assert after(told) == after(shuffled)


def test_each_order_is_asked_to_end():
    execution, commands = step(flying(), ev.ChildAcked("p.1.1", SECOND))
    assert commands == (CancelChild("p.1.1"),)
    execution, commands = step(execution, ev.ChildAcked("p.1.1", SECOND))
    assert commands == (), "asked once"
    execution, commands = step(execution, ev.ChildCancelled("p.1.1", 0, SECOND))
    assert commands == (CancelChild("p.1.1"),), "one cancel ends one order"
    assert not execution.is_quiet


def test_a_second_order_that_came_and_went_without_a_share_is_no_matter():
    execution, commands = step(flying(), ev.ChildCancelled("p.1.1", 0, SECOND))
    assert execution.state is ParentState.WORKING
    assert execution.children["p.1.1"].leaves == 25
    assert commands == ()


def test_a_restart_counts_the_fills_of_both_and_wakes_no_old_alarm():
    execution = flying()
    known = [*fills_of(FIRST, [10]), *fills_of(SECOND, [5])]
    again = restore(PARENT, SlicingPolicy(4), tuple(execution.children.values()), known)
    assert (again.filled, again.quarantine) == (15, "")
    read = ev.Reconciled(
        START,
        (
            ev.ChildEvidence("p.1.1", ev.ChildState.CANCELLED, 10, FIRST),
            ev.ChildEvidence("p.1.1", ev.ChildState.CANCELLED, 5, SECOND),
        ),
        tuple(known),
    )
    again, _ = step(again, read)
    assert (again.filled, again.quarantine, again.is_quiet) == (15, "", True)
