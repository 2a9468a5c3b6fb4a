"""An order and its resend under one id: whatever name its messages carry, it counts once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.orders import ChildOrder, ChildState, Fill, ParentOrder, ParentState, Side
from models.execution import events as ev
from models.execution.engine import restore, step
from models.execution.reissued import bearer
from models.execution.state import ParentExecution, SlicingPolicy

START = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
PARENT = ParentOrder(
    "p", START.date(), "trend", "SPY", Side.BUY, 90, "TWAP", START, START + timedelta(hours=1),
    Decimal(10), START, "v1",
)  # fmt: skip
POLICY = SlicingPolicy(slices=3)
PERM = 1001
FIRST = ChildOrder("p", 1, 1, "SPY", Side.BUY, 30, Decimal(10), "IOC", ChildState.NEVER_SENT, 0, 7)
AGAIN = replace(FIRST, attempt=2, state=ChildState.SENT)
NAMES = st.sampled_from([FIRST.order_ref, AGAIN.order_ref])


@st.composite
def tellings(draw: st.DrawFn) -> tuple[list[ev.BrokerMessage], list[Fill], int, bool]:
    """Return one order's messages under either name, its executions, shares, and whether it ended.

    They come shuffled and some twice, as after reconnects.
    """
    done, fills, messages = 0, list[Fill](), list[ev.BrokerMessage]()
    for number, most in enumerate(draw(st.lists(st.integers(1, 12), max_size=4)), 1):
        shares = min(most, 30 - done)
        if shares:
            done += shares
            fill = Fill(
                f"1.{number}.01", draw(NAMES), "SPY", Side.BUY, shares, Decimal(10), START, PERM
            )
            fills.append(fill)
            messages += [ev.ChildFilled(fill), ev.ChildAcked(draw(NAMES), PERM, done)]
    if draw(st.booleans()):
        messages.append(ev.ChildAcked(draw(NAMES), 0))
    if ends := draw(st.booleans()):
        messages.append(ev.ChildCancelled(draw(NAMES), done, PERM))
    repeated = draw(st.lists(st.sampled_from(messages), max_size=4)) if messages else []
    return draw(st.permutations(messages + repeated)), fills, done, ends


def heard(execution: ParentExecution, event: ev.BrokerMessage) -> ParentExecution:
    """Feed one message as the desk does: under the name of the child that it is of."""
    match event:
        case ev.ChildFilled(fill):
            name = bearer(execution.children, fill.order_ref, fill.perm_id)
            event = ev.ChildFilled(replace(fill, order_ref=name))
        case ev.ChildAcked(ref, perm_id, _) | ev.ChildCancelled(ref, _, perm_id):
            event = replace(event, order_ref=bearer(execution.children, ref, perm_id))
    return step(execution, event)[0]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(tellings(), NAMES, st.integers(0, 20))
def test_one_order_under_two_names_counts_once(
    told: tuple[list[ev.BrokerMessage], list[Fill], int, bool], name: str, dies_after: int
) -> None:
    messages, fills, done, ends = told
    execution = restore(PARENT, POLICY, [FIRST, AGAIN], state=ParentState.WORKING)
    execution, _ = step(execution, ev.Reconciled(START))
    for number, message in enumerate(messages):
        execution = heard(execution, message)
        assert not execution.quarantine
        assert execution.exposure <= PARENT.quantity
        if number == dies_after:
            known = [fill for each in execution.fills.values() for fill in each]
            rows = list(execution.children.values())
            execution = restore(PARENT, POLICY, rows, known, execution.state)
    state = ChildState.ACKED
    if ends or done == 30:
        state = ChildState.FILLED if done == 30 else ChildState.CANCELLED
    order = ev.ChildEvidence(bearer(execution.children, name, PERM), state, done, PERM)
    shown = tuple(
        replace(fill, order_ref=bearer(execution.children, fill.order_ref, PERM)) for fill in fills
    )
    execution, _ = step(execution, ev.Reconciled(START, (order,), shown))
    again = execution.children[AGAIN.order_ref]
    assert (again.filled, execution.filled) == (done, done)
    assert again.state.is_terminal is (ends or done == 30)
    assert execution.children[FIRST.order_ref].state is ChildState.NEVER_SENT
    assert not execution.quarantine


def test_a_second_order_keeps_its_own_name_and_is_told() -> None:
    """Two permanent ids are two orders, whatever the policy of ids says."""
    execution = restore(PARENT, POLICY, [FIRST, AGAIN], state=ParentState.WORKING)
    execution, _ = step(execution, ev.Reconciled(START))
    execution = heard(execution, ev.ChildAcked(AGAIN.order_ref, PERM))
    execution = heard(execution, ev.ChildAcked(FIRST.order_ref, PERM + 1))
    assert "was proven never sent" in execution.quarantine
    assert execution.state is ParentState.PAUSED


def test_a_resend_that_was_refused_stands_for_nothing() -> None:
    """What arrives then is the first sending: it counts under its own name."""
    for void in (ChildState.REJECTED, ChildState.CANCELLED):
        refused = replace(AGAIN, state=void)
        execution = restore(PARENT, POLICY, [FIRST, refused], state=ParentState.WORKING)
        execution, _ = step(execution, ev.Reconciled(START))
        execution = heard(execution, ev.ChildAcked(FIRST.order_ref, PERM))
        assert execution.exposure == 30 and not execution.quarantine
        assert execution.children[FIRST.order_ref].state is ChildState.ACKED
    shown = replace(AGAIN, state=ChildState.CANCELLED, perm_id=PERM)  # its end is known
    children = {FIRST.order_ref: FIRST, shown.order_ref: shown}
    assert bearer(children, FIRST.order_ref, PERM) == AGAIN.order_ref


def test_only_the_same_shares_under_the_same_id_are_the_resend() -> None:
    for other in (
        replace(AGAIN, quantity=31),
        replace(AGAIN, order_id=8),
        replace(AGAIN, slice_no=2),
        replace(AGAIN, side=Side.SELL),
    ):
        children = {FIRST.order_ref: FIRST, other.order_ref: other}
        assert bearer(children, FIRST.order_ref, PERM) == FIRST.order_ref
    for state in ChildState:
        first = replace(FIRST, state=state)
        children = {first.order_ref: first, AGAIN.order_ref: AGAIN}
        moves = state is ChildState.NEVER_SENT
        assert (bearer(children, first.order_ref) == AGAIN.order_ref) is moves
    third = replace(AGAIN, attempt=3)
    children = {c.order_ref: c for c in (FIRST, third, replace(AGAIN, state=FIRST.state))}
    assert bearer(children, FIRST.order_ref) == bearer(children, AGAIN.order_ref) == "p.1.3"
