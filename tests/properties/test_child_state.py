"""Any interleaving, repetition, loss and reordering of a broker's messages ends in its own state.

A broker makes up the history of one order: acknowledgement, fills, corrections, busts, an end.
Some of its messages are lost, the rest come repeated and shuffled; then everything is read once,
as after every reconnect, and old messages may still trickle in. The pure machine, the engine and
the ledger must each end in the broker's own state and share count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.orders import ChildOrder, ChildState, Fill, ParentOrder, Side
from models.execution import events as ev
from models.execution.child_state import ChildFacts, Executed, Told, contradiction, take
from models.execution.engine import restore, step
from models.execution.fills import explained_by_read, gross_quantity, net_quantity
from models.execution.state import SlicingPolicy
from warehouse.ledger import OrderLedger

OPEN = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
ACCOUNT = "SIM1"
QUANTITY = 100
NUMBERS = count(1)
Message = Told | Fill


@dataclass
class Order:
    """One order as the broker has it, and every message it ever sent about it."""

    ref: str
    state: ChildState = ChildState.ACKED
    done: int = 0
    executions: list[list[Fill]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def latest(self) -> list[Fill]:
        return [history[-1] for history in self.executions]

    @property
    def net(self) -> int:
        return sum(fill.quantity for fill in self.latest)

    @property
    def is_live(self) -> bool:
        return self.state in (ChildState.ACKED, ChildState.PARTIAL)

    def say(self) -> None:
        self.messages.append(Told(self.state, self.done))

    def fill(self, shares: int) -> None:
        shares = min(shares, QUANTITY - self.done)
        if not self.is_live or not shares:
            return
        name = f"{self.ref}.{len(self.executions):03d}.01"
        price = Decimal(50) + len(self.executions)
        fill = Fill(name, self.ref, "KO", Side.BUY, shares, price, OPEN, 7)
        self.executions.append([fill])
        self.done += shares
        self.state = ChildState.FILLED if self.done == QUANTITY else ChildState.PARTIAL
        self.messages.append(fill)
        self.say()

    def correct(self, which: int, shares: int) -> None:
        if not self.executions:
            return
        history = self.executions[which % len(self.executions)]
        last = history[-1]
        name = f"{last.exec_base}.{last.revision + 1:02d}"
        fewer = min(shares, last.quantity)  # 0 busts it
        price = last.price - Decimal("0.01")
        history.append(replace(last, exec_id=name, quantity=fewer, price=price))
        self.messages.append(history[-1])

    def end(self, state: ChildState) -> None:
        if self.is_live:
            self.state = state
            self.say()


acts = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("correct"), st.integers(0, 5), st.sampled_from([0, 0, 5, 100])),
        st.tuples(st.sampled_from(["cancel", "reject", "say"]), st.just(0), st.just(0)),
    ),
    max_size=10,
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[Order, list[Message], list[Message]]:
    """Return an order, what came before the read, and old messages that come after it."""
    order = Order(f"p{next(NUMBERS)}.1.1")
    order.say()
    for act, first, second in draw(acts):
        match act:
            case "fill":
                order.fill(first)
            case "correct":
                order.correct(first, second)
            case "say":
                order.say()
            case _:
                order.end(ChildState.CANCELLED if act == "cancel" else ChildState.REJECTED)
    some = st.lists(st.sampled_from(order.messages), max_size=20)
    return order, draw(some), draw(some)


def read_of(order: Order, reverse: bool) -> list[Message]:
    """Return what a complete read shows: the status, and the latest revisions only."""
    found: list[Message] = [Told(order.state, order.done), *order.latest]
    return found[::-1] if reverse else found


@settings(max_examples=400, deadline=None)
@given(deliveries(), st.booleans())
def test_the_pure_machine_ends_in_the_brokers_own_state(
    drawn: tuple[Order, list[Message], list[Message]], reverse: bool
) -> None:
    order, before, after = drawn
    facts, fills = ChildFacts(QUANTITY, ChildState.UNKNOWN), dict[str, Fill]()

    def hear(message: Message) -> None:
        nonlocal facts
        evidence = message if isinstance(message, Told) else executed(message)
        assert contradiction(facts, evidence) == "", "an honest broker contradicts nothing"
        facts = take(facts, evidence)
        assert take(facts, evidence) == facts, "again changes nothing"

    def executed(fill: Fill) -> Executed:
        fills[fill.exec_id] = fill
        return Executed(gross_quantity(fills.values()), net_quantity(fills.values()))

    for message in (*before, *read_of(order, reverse)):
        hear(message)
    shares = explained_by_read(facts.reported, fills.values())
    facts = take(facts, Executed(shares, facts.net)) if shares else facts
    for message in after:
        hear(message)
    assert (facts.state, facts.filled, facts.done) == (order.state, order.net, order.done)


@settings(max_examples=300, deadline=None)
@given(deliveries(), st.booleans())
def test_the_engine_ends_in_the_brokers_own_state(
    drawn: tuple[Order, list[Message], list[Message]], reverse: bool
) -> None:
    order, before, after = drawn
    child = child_of(order.ref)
    engine = restore(parent_of(order.ref), SlicingPolicy(), [child])
    for message in before:
        engine, _ = step(engine, event_of(order.ref, message))
    shown = ev.ChildEvidence(order.ref, order.state, order.done, 7)
    latest = tuple(order.latest[::-1] if reverse else order.latest)
    engine, _ = step(engine, ev.Reconciled(OPEN, (shown,), latest))
    for message in after:
        engine, _ = step(engine, event_of(order.ref, message))
    found = engine.children[order.ref]
    assert (found.state, found.filled, engine.filled) == (order.state, order.net, order.net)
    assert engine.is_settled
    assert not engine.quarantine


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrderLedger]:
    with OrderLedger(f"sqlite:///{tmp_path_factory.mktemp('l')}/ledger.sqlite") as opened:
        opened.accounts.record_opening(ACCOUNT, Decimal(0), {}, OPEN)
        yield opened


@settings(max_examples=150, deadline=None)
@given(
    drawn=deliveries(),
    reverse=st.booleans(),
    fees=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 25)), max_size=4),
)
def test_the_ledger_ends_in_the_brokers_own_state(
    ledger: OrderLedger,
    drawn: tuple[Order, list[Message], list[Message]],
    reverse: bool,
    fees: list[tuple[int, int]],
) -> None:
    """Commissions come before their execution, after it, or never; unknown is not zero."""
    order, before, after = drawn
    told = {
        order.executions[which][0].exec_id: position
        for which, position in fees
        if which < len(order.executions)
    }
    with ledger.transaction():
        cash, unknown = ledger.executions.cash(ACCOUNT).amount, ledger.executions.cash(ACCOUNT)
        ledger.parents.add([parent_of(order.ref)])
        child = replace(child_of(order.ref), state=ChildState.INTENT)
        ledger.children.commit_intent(child, 11, ACCOUNT, next_valid_id=1, at=OPEN)
        ledger.children.mark_sent(order.ref, OPEN)
        for number, message in enumerate((*before, *read_of(order, reverse), *after)):
            for exec_id in (e for e, position in told.items() if position == number):
                ledger.executions.record_commission(exec_id, Decimal("1.00"))
            hear(ledger, order.ref, message)
            if number == len(before) + len(order.latest):  # the read is complete
                ledger.executions.explain_reported(order.ref)
        for exec_id, position in told.items():
            if position > len(before) + len(order.latest) + len(after):
                ledger.executions.record_commission(exec_id, Decimal("1.00"))
        record = ledger.children.get(order.ref)
        view = ledger.executions.cash(ACCOUNT)
    assert record is not None
    assert (record.order.state, record.order.filled) == (order.state, order.net)
    kept = [fill for fill in order.latest if fill.quantity]
    paid = [fill for fill in kept if f"{fill.exec_base}.01" in told]
    notional = sum((fill.quantity * fill.price for fill in kept), Decimal(0))
    assert view.unknown_commissions - unknown.unknown_commissions == len(kept) - len(paid)
    assert cash - view.amount == notional + len(paid)


def hear(ledger: OrderLedger, ref: str, message: Message) -> None:
    if isinstance(message, Fill):
        ledger.executions.record(message, ACCOUNT)
    else:
        ledger.children.record_status(ref, message.state, message.filled, 7)


def event_of(ref: str, message: Message) -> ev.Event:
    match message:
        case Fill():
            return ev.ChildFilled(message)
        case Told(ChildState.REJECTED, filled):
            return ev.ChildRejected(ref, "201", filled)
        case Told(ChildState.CANCELLED, filled):
            return ev.ChildCancelled(ref, filled, 7)
        case Told(_, filled):
            return ev.ChildAcked(ref, 7, filled)


def child_of(ref: str) -> ChildOrder:
    name = ref.partition(".")[0]
    sent = ChildOrder(name, 1, 1, "KO", Side.BUY, QUANTITY, Decimal(60), "IOC")
    return replace(sent, state=ChildState.SENT, order_id=1)


def parent_of(ref: str) -> ParentOrder:
    close = OPEN + timedelta(hours=6)
    return ParentOrder(
        ref.partition(".")[0], OPEN.date(), "s", "KO", Side.BUY, QUANTITY, "TWAP", OPEN, close,
        Decimal(60), OPEN, "m",
    )  # fmt: skip


# -- the machine by itself ------------------------------------------------------------------------

evidences = st.one_of(
    st.builds(Told, st.sampled_from(ChildState), st.integers(0, 120)),
    st.tuples(st.integers(0, 120), st.integers(0, 120)).map(
        lambda pair: Executed(max(pair), min(pair))
    ),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(evidences, max_size=8))
def test_nothing_but_the_brokers_word_ends_a_child_and_no_share_is_forgotten(
    told: list[Told | Executed],
) -> None:
    facts = ChildFacts(QUANTITY)
    for evidence in told:
        before, facts = facts, take(facts, evidence)
        assert facts.reported >= before.reported
        assert facts.filled >= facts.net
        assert (facts.done >= QUANTITY) == (facts.state is ChildState.FILLED)
        ended = facts.state.is_terminal and facts.state is not before.state
        if ended and facts.state is not ChildState.FILLED:
            assert isinstance(evidence, Told)
            assert evidence.state is facts.state, "an end is told, never inferred"
        if before.state.is_terminal and not facts.state.is_terminal:
            assert before.state in (ChildState.NEVER_SENT, ChildState.REJECTED)


words = st.builds(
    Told, st.sampled_from([s for s in ChildState if s is not ChildState.FILLED]), st.integers(0, 99)
)


@settings(max_examples=500, deadline=None)
@given(st.lists(words, max_size=6), st.data())
def test_the_order_of_statuses_does_not_matter(told: list[Told], data: st.DataObject) -> None:
    def end(sequence: list[Told]) -> ChildFacts:
        facts = ChildFacts(QUANTITY)
        for evidence in sequence:
            facts = take(facts, evidence)
        return facts

    shuffled = data.draw(st.permutations(told + told[:2]))
    assert end(shuffled) == end(told)
