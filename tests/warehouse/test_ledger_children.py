from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading, InvalidInput, RetryLater
from models.domain.orders import ChildOrder, ChildState, Fill, ParentOrder, ParentState, Side
from warehouse.ledger import OrderLedger

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
Commit = Callable[..., ChildOrder]
MakeFill = Callable[..., Fill]
REF = "20240102-ml-AAPL.0.1"


def test_an_intent_is_stored_with_its_order_id(ledger: OrderLedger, commit: Commit) -> None:
    child = commit(0, 10)
    assert (child.state, child.order_id, child.filled) == (ChildState.INTENT, 1, 0)
    assert str(child.limit_price) == "186.10"
    record = ledger.children.get(REF)
    assert record is not None
    assert (record.order, record.account, record.client_id) == (child, "SIM1", 11)
    assert ledger.children.get("nobody") is None


def test_ids_are_above_both_the_brokers_and_the_ledgers(
    ledger: OrderLedger, commit: Commit, make_child: Commit
) -> None:
    assert commit(0).order_id == 1
    send = ledger.children.commit_intent
    assert send(make_child(1), 11, "SIM1", next_valid_id=50, at=NOW).order_id == 50
    assert send(make_child(2), 11, "SIM1", next_valid_id=3, at=NOW).order_id == 51
    assert send(make_child(3), 12, "SIM1", next_valid_id=3, at=NOW).order_id == 3
    assert send(make_child(4), 11, "SIM2", next_valid_id=1, at=NOW).order_id == 1


def test_a_proven_unsent_slice_takes_its_id_again(ledger: OrderLedger, commit: Commit) -> None:
    first = commit(0)
    commit(1)
    ledger.children.mark_sent(REF, NOW)
    ledger.children.record_status(REF, ChildState.UNKNOWN)
    ledger.children.record_status(REF, ChildState.NEVER_SENT, reason="two clean looks")
    again = commit(0, attempt=2)
    assert again.order_id == first.order_id
    assert again.order_ref == "20240102-ml-AAPL.0.2"


@pytest.mark.parametrize("end", [ChildState.CANCELLED, ChildState.REJECTED])
def test_an_id_the_broker_has_seen_is_not_used_again(
    ledger: OrderLedger, commit: Commit, end: ChildState
) -> None:
    commit(0)
    ledger.children.record_status(REF, end)
    assert commit(0, attempt=2).order_id == 2


def test_a_live_attempt_blocks_the_next(ledger: OrderLedger, commit: Commit) -> None:
    commit(0)
    for state in (ChildState.SENT, ChildState.ACKED, ChildState.PARTIAL, ChildState.UNKNOWN):
        ledger.children.record_status(REF, state)
        with pytest.raises(HaltTrading, match="not proven dead"):
            commit(0, attempt=2)


def test_committing_again_returns_the_intent_until_it_is_sent(
    ledger: OrderLedger, commit: Commit
) -> None:
    first = commit(0)
    assert commit(0) == first
    with pytest.raises(HaltTrading, match="other content"):
        commit(0, 11)
    ledger.children.mark_sent(REF, NOW)
    with pytest.raises(HaltTrading, match="already SENT"):
        commit(0)


def test_the_parent_has_room_to_the_share(ledger: OrderLedger, commit: Commit) -> None:
    commit(0, 60)
    with pytest.raises(HaltTrading, match="of which 60 are filled or may still fill"):
        commit(1, 41)
    assert commit(1, 40).quantity == 40
    with pytest.raises(HaltTrading):
        commit(2, 1)


def test_dead_children_give_back_only_what_they_did_not_fill(
    ledger: OrderLedger, commit: Commit, make_fill: MakeFill
) -> None:
    commit(0, 100)
    ledger.executions.record(make_fill(quantity=30), "SIM1")
    ledger.children.record_status(REF, ChildState.CANCELLED, filled=30)
    with pytest.raises(HaltTrading):
        commit(1, 71)
    assert commit(1, 70).quantity == 70


def test_a_reported_fill_counts_before_its_execution_has_come(
    ledger: OrderLedger, commit: Commit, make_fill: MakeFill
) -> None:
    commit(0, 100)
    assert ledger.children.record_status(REF, ChildState.CANCELLED, filled=25).filled == 25
    with pytest.raises(HaltTrading):
        commit(1, 76)
    assert any("some have not come" in line for line in ledger.check())
    ledger.executions.record(make_fill(quantity=25), "SIM1")
    assert ledger.check() == []
    assert commit(1, 75).quantity == 75


def test_filled_by_status_means_the_whole_quantity(ledger: OrderLedger, commit: Commit) -> None:
    commit(0, 100)
    assert ledger.children.record_status(REF, ChildState.FILLED).filled == 100
    with pytest.raises(HaltTrading):
        commit(1, 1)


def test_a_bust_gives_the_shares_back_to_the_parent(
    ledger: OrderLedger, commit: Commit, make_fill: MakeFill
) -> None:
    commit(0, 100)
    ledger.children.record_status(REF, ChildState.FILLED, filled=100)
    ledger.executions.record(make_fill("x.01", 100), "SIM1")
    ledger.executions.record(make_fill("x.02", 0), "SIM1")
    record = ledger.children.get(REF)
    assert record is not None
    assert (record.order.state, record.order.filled) == (ChildState.FILLED, 0)
    assert commit(1, 100).quantity == 100
    assert ledger.check() == []


@pytest.mark.parametrize(
    "changes", [{"symbol": "MSFT"}, {"side": Side.SELL}], ids=["symbol", "side"]
)
def test_a_child_is_of_its_parents_security_and_side(
    commit: Commit, changes: dict[str, object]
) -> None:
    with pytest.raises(HaltTrading, match="is refused"):
        commit(0, 10, **changes)


@pytest.mark.parametrize(
    "state",
    [ParentState.PAUSED, ParentState.CANCELLING, ParentState.EXPIRED, ParentState.REJECTED],
)
def test_only_a_working_parent_has_more_children(
    ledger: OrderLedger, commit: Commit, state: ParentState
) -> None:
    ledger.parents.set_state("20240102-ml-AAPL", state, "ended")
    with pytest.raises(
        HaltTrading, match=f"its parent is {state.value}, and only a NEW or WORKING"
    ):
        commit(0)
    assert ledger.children.of_parent("20240102-ml-AAPL") == ()


def test_a_refused_intent_takes_no_id(ledger: OrderLedger, commit: Commit) -> None:
    with pytest.raises(HaltTrading):
        commit(0, 101)
    assert commit(0, 100).order_id == 1


def test_a_child_without_a_parent_is_refused(commit: Commit) -> None:
    with pytest.raises(InvalidInput, match="no parent order"):
        commit(0, parent_id="nobody")


def test_no_intent_during_a_halt(ledger: OrderLedger, commit: Commit) -> None:
    ledger.halts.halt("daily loss", "risk", NOW)
    with pytest.raises(HaltTrading, match="daily loss"):
        commit(0)
    ledger.halts.resume("understood", "operator", NOW)
    assert commit(0).order_id == 1


def test_no_intent_under_a_lost_lease(
    ledger: OrderLedger, commit: Commit, make_child: Commit
) -> None:
    commit(0)
    old = ledger.leases.acquire("execute", "first", pid=1, host="a", ttl=30, now=NOW)
    later = NOW + timedelta(seconds=31)
    new = ledger.leases.acquire("execute", "second", pid=2, host="b", ttl=30, now=later)
    send = ledger.children.commit_intent
    with pytest.raises(RetryLater, match="second"):
        send(make_child(1), 11, "SIM1", next_valid_id=1, at=later, lease=old)
    assert send(make_child(1), 11, "SIM1", next_valid_id=1, at=later, lease=new).order_id == 2


TOLD = [
    ([ChildState.SENT], ChildState.SENT),
    ([ChildState.SENT, ChildState.ACKED, ChildState.SENT], ChildState.ACKED),
    ([ChildState.PARTIAL, ChildState.ACKED], ChildState.PARTIAL),
    ([ChildState.SENT, ChildState.UNKNOWN, ChildState.ACKED], ChildState.ACKED),
    ([ChildState.CANCELLED, ChildState.ACKED], ChildState.CANCELLED),
    ([ChildState.REJECTED, ChildState.CANCELLED], ChildState.CANCELLED),
    ([ChildState.CANCELLED, ChildState.REJECTED], ChildState.CANCELLED),
    ([ChildState.ACKED, ChildState.UNKNOWN], ChildState.ACKED),
    ([ChildState.FILLED, ChildState.CANCELLED], ChildState.FILLED),
    ([ChildState.UNKNOWN, ChildState.NEVER_SENT], ChildState.NEVER_SENT),
    ([ChildState.NEVER_SENT, ChildState.UNKNOWN], ChildState.NEVER_SENT),
    ([ChildState.NEVER_SENT, ChildState.ACKED], ChildState.ACKED),
    ([ChildState.NEVER_SENT, ChildState.CANCELLED], ChildState.CANCELLED),
    ([ChildState.ACKED, ChildState.NEVER_SENT], ChildState.ACKED),
]


@pytest.mark.parametrize(("told", "state"), TOLD)
def test_states_follow_evidence(
    ledger: OrderLedger, commit: Commit, told: list[ChildState], state: ChildState
) -> None:
    commit(0)
    for word in told:
        ledger.children.record_status(REF, word)
    record = ledger.children.get(REF)
    assert record is not None
    assert record.order.state is state
    is_open = [child.order_ref for child in ledger.children.open_children("SIM1")] == [REF]
    assert is_open is not state.is_terminal


def test_what_the_broker_has_shown_cannot_be_called_never_sent(
    ledger: OrderLedger, commit: Commit
) -> None:
    commit(0)
    ledger.children.record_status(REF, ChildState.ACKED, perm_id=7001)
    ledger.children.record_status(REF, ChildState.UNKNOWN)
    assert ledger.children.record_status(REF, ChildState.NEVER_SENT).state is ChildState.ACKED


def test_a_bust_that_comes_first_shows_that_the_order_arrived(
    ledger: OrderLedger, commit: Commit, make_fill: MakeFill
) -> None:
    commit(0)
    ledger.children.record_status(REF, ChildState.UNKNOWN)
    ledger.executions.record(make_fill("x.02", 0), "SIM1")
    assert ledger.children.record_status(REF, ChildState.NEVER_SENT).state is ChildState.ACKED


EXECUTED = [
    (ChildState.SENT, 4, ChildState.PARTIAL),
    (ChildState.SENT, 10, ChildState.FILLED),
    (ChildState.CANCELLED, 4, ChildState.CANCELLED),
    (ChildState.CANCELLED, 10, ChildState.FILLED),
    (ChildState.REJECTED, 4, ChildState.PARTIAL),
    (ChildState.NEVER_SENT, 4, ChildState.PARTIAL),
    (ChildState.UNKNOWN, 4, ChildState.PARTIAL),
]


@pytest.mark.parametrize(("before", "shares", "after"), EXECUTED)
def test_executions_move_any_state(
    ledger: OrderLedger,
    commit: Commit,
    make_fill: MakeFill,
    before: ChildState,
    shares: int,
    after: ChildState,
) -> None:
    commit(0, 10)
    ledger.children.record_status(REF, before)
    ledger.executions.record(make_fill(quantity=shares), "SIM1")
    record = ledger.children.get(REF)
    assert record is not None
    assert (record.order.state, record.order.filled) == (after, shares)
    assert record.order.perm_id == 7001


def test_children_are_found_by_parent_and_account(ledger: OrderLedger, commit: Commit) -> None:
    commit(1)
    commit(0)
    assert [c.slice_no for c in ledger.children.of_parent("20240102-ml-AAPL")] == [0, 1]
    assert len(ledger.children.open_children("SIM1")) == 2
    assert ledger.children.open_children("SIM2") == ()


def test_sends_are_counted_by_time(ledger: OrderLedger, commit: Commit) -> None:
    for number in range(3):
        child = commit(number)
        ledger.children.mark_sent(child.order_ref, NOW + timedelta(seconds=30 * number))
    ledger.children.mark_sent(REF, NOW + timedelta(seconds=59))  # the first mark stays
    count = ledger.children.sent_since
    assert [count("SIM1", NOW + timedelta(seconds=s)) for s in (0, 30, 31, 61)] == [3, 2, 1, 0]


def test_evidence_of_an_unknown_order_is_refused(ledger: OrderLedger) -> None:
    with pytest.raises(InvalidInput, match="no child order"):
        ledger.children.record_status("stranger", ChildState.ACKED)


def test_a_transaction_is_all_or_nothing(
    ledger: OrderLedger, make_parent: Callable[..., ParentOrder], make_fill: MakeFill
) -> None:
    with pytest.raises(RuntimeError), ledger.transaction():
        ledger.parents.add([make_parent()])
        ledger.executions.record(make_fill(), "SIM1")
        assert len(ledger.executions.fills_of_account("SIM1")) == 1
        raise RuntimeError("the process dies here")
    assert ledger.executions.fills_of_account("SIM1") == ()
    with ledger.transaction():
        ledger.parents.add([make_parent()])
        ledger.events.append("note", "", {"n": Decimal("1.0")}, NOW)
    assert len(ledger.events.since()) == 1
