from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput, SkipToday
from models.domain.orders import ChildOrder, ParentOrder, ParentState, Side
from models.risk.verdict import Verdict
from warehouse.ledger import OrderLedger

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
SESSION = date(2024, 1, 2)
MakeParent = Callable[..., ParentOrder]


def test_a_parent_comes_back_exactly(ledger: OrderLedger, make_parent: MakeParent) -> None:
    new_york = NOW.astimezone(tz=__import__("zoneinfo").ZoneInfo("America/New_York"))
    parent = make_parent(
        "BRK.B", side=Side.SELL, decision_price=Decimal("0.10000000000000000000001"),
        limit_price=Decimal("362.500"), start=new_york,
    )  # fmt: skip
    assert ledger.parents.add([parent]) == 1
    found = ledger.parents.get(parent.parent_id)
    assert found.order == parent
    assert (found.state, found.reason) == (ParentState.NEW, "")
    assert str(found.order.limit_price) == "362.500"
    assert found.order.start.tzinfo is UTC


def test_adding_twice_adds_once(ledger: OrderLedger, make_parent: MakeParent) -> None:
    parents = [make_parent("AAPL"), make_parent("MSFT")]
    assert ledger.parents.add(parents[:1]) == 1
    assert ledger.parents.add(parents) == 1
    assert ledger.parents.add(parents) == 0
    assert [record.order for record in ledger.parents.of_session(SESSION)] == parents


def test_the_same_id_with_other_content_is_refused_and_nothing_is_added(
    ledger: OrderLedger, make_parent: MakeParent
) -> None:
    ledger.parents.add([make_parent()])
    with pytest.raises(InvalidInput, match="other content"):
        ledger.parents.add([make_parent("MSFT"), make_parent(quantity=101)])
    assert len(ledger.parents.of_session(SESSION)) == 1


def test_a_plan_that_has_not_started_is_replaced_and_its_verdicts_are_kept(
    ledger: OrderLedger, make_parent: MakeParent
) -> None:
    ledger.parents.replace_plan(SESSION, "ml", [make_parent("AAPL"), make_parent("MSFT")], {})
    denied = Verdict("notional", False, "it is too large", {"value": 2.0, "limit": "1"})
    passed = Verdict("restricted", True, "it is not on the list")
    plan = ledger.parents.replace_plan(
        SESSION,
        "ml",
        [make_parent("AAPL", quantity=50), make_parent("KO")],
        {"20240102-ml-KO": [denied, passed], "20240102-ml-AAPL": [passed]},
    )
    assert [(record.order.symbol, record.state) for record in plan] == [
        ("AAPL", ParentState.NEW),
        ("KO", ParentState.REJECTED),
    ]
    assert plan[1].reason == "it is too large"
    assert plan == ledger.parents.of_session(SESSION, "ml")
    checks = ledger.parents.verdicts("20240102-ml-KO")
    assert [(c.check, c.passed, c.numbers) for c in checks] == [
        ("notional", False, {"value": 2.0, "limit": "1"}),
        ("restricted", True, {}),
    ]


def test_verdicts_are_of_the_present_plan_and_grow(
    ledger: OrderLedger, make_parent: MakeParent
) -> None:
    first = Verdict("first", True, "of the first plan")
    second = Verdict("second", True, "of the second plan")
    for verdict in (first, second):
        key = {"20240102-ml-AAPL": [verdict]}
        ledger.parents.replace_plan(SESSION, "ml", [make_parent()], key)
    ledger.parents.record_verdicts(
        "20240102-ml-AAPL", [Verdict("collar", False, "before the send")], NOW
    )
    assert [c.check for c in ledger.parents.verdicts("20240102-ml-AAPL")] == ["second", "collar"]


def test_plans_of_other_strategies_and_sessions_stay(
    ledger: OrderLedger, make_parent: MakeParent
) -> None:
    pairs = make_parent(parent_id="p", strategy="pairs")
    later = make_parent(parent_id="l", session=date(2024, 1, 3))
    ledger.parents.add([pairs, later, make_parent()])
    ledger.parents.replace_plan(SESSION, "ml", [], {})
    assert [r.order for r in ledger.parents.of_session(SESSION)] == [pairs]
    assert [r.order for r in ledger.parents.of_session(date(2024, 1, 3))] == [later]


def test_a_started_plan_is_not_replaced(
    ledger: OrderLedger, make_parent: MakeParent, commit: Callable[..., ChildOrder]
) -> None:
    commit(0)
    with pytest.raises(SkipToday, match="20240102-ml-AAPL"):
        ledger.parents.replace_plan(SESSION, "ml", [make_parent("MSFT")], {})
    assert [r.order.symbol for r in ledger.parents.of_session(SESSION)] == ["AAPL"]


@pytest.mark.parametrize("state", [ParentState.WORKING, ParentState.EXPIRED, ParentState.PAUSED])
def test_a_plan_with_a_touched_parent_is_not_replaced(
    ledger: OrderLedger, make_parent: MakeParent, state: ParentState
) -> None:
    ledger.parents.add([make_parent()])
    ledger.parents.set_state("20240102-ml-AAPL", state, "by hand")
    with pytest.raises(SkipToday):
        ledger.parents.replace_plan(SESSION, "ml", [make_parent()], {})


def test_a_day_that_is_done_says_when_the_next_one_is_planned(
    ledger: OrderLedger, make_parent: MakeParent, commit: Callable[..., ChildOrder]
) -> None:
    commit(0)
    ledger.parents.set_state("20240102-ml-AAPL", ParentState.FILLED)
    with pytest.raises(SkipToday, match=r"is done.*after the close.*--to next-close"):
        ledger.parents.require_not_started(SESSION, "ml")


def test_a_plan_must_be_of_one_session_and_strategy_without_doubles(
    ledger: OrderLedger, make_parent: MakeParent
) -> None:
    for wrong in (
        [make_parent(session=date(2024, 1, 3))],
        [make_parent(strategy="pairs")],
        [make_parent(), make_parent()],
    ):
        with pytest.raises(InvalidInput):
            ledger.parents.replace_plan(SESSION, "ml", wrong, {})


def test_a_terminal_parent_stays_but_for_a_late_fill(
    ledger: OrderLedger, make_parent: MakeParent
) -> None:
    parent = make_parent()
    ledger.parents.add([parent])
    states = ledger.parents
    assert states.set_state(parent.parent_id, ParentState.WORKING, "session started")
    assert not states.set_state(parent.parent_id, ParentState.WORKING, "session started")
    assert states.set_state(parent.parent_id, ParentState.EXPIRED, "the close came")
    assert not states.set_state(parent.parent_id, ParentState.WORKING, "again")
    assert states.get(parent.parent_id).state is ParentState.EXPIRED
    assert states.set_state(parent.parent_id, ParentState.FILLED, "a late fill")
    assert states.get(parent.parent_id).reason == "a late fill"


def test_bad_values_are_refused(ledger: OrderLedger, make_parent: MakeParent) -> None:
    parent = make_parent()
    for wrong in (
        replace(parent, decided_at=parent.decided_at.replace(tzinfo=None)),
        replace(parent, decision_price=Decimal("NaN")),
        replace(parent, limit_price=Decimal("Infinity")),
    ):
        with pytest.raises(InvalidInput):
            ledger.parents.add([wrong])
    with pytest.raises(InvalidInput, match="robo rebalance"):
        ledger.parents.get("nobody")
    assert ledger.parents.of_session(SESSION) == ()


def test_text_order_is_time_order(ledger: OrderLedger, make_parent: MakeParent) -> None:
    moments = [NOW + timedelta(microseconds=step) for step in (0, 1, 10, 999_999, 1_000_000)]
    for number, moment in enumerate(moments):
        ledger.accounts.record_snapshot("SIM1", moment, Decimal(number), Decimal(1), "x")
    assert [int(s.cash) for s in ledger.accounts.snapshots("SIM1")] == [0, 1, 2, 3, 4]
    assert [s.at for s in ledger.accounts.snapshots("SIM1")] == moments


def test_the_latest_session_is_the_greatest_date(
    ledger: OrderLedger, make_parent: MakeParent
) -> None:
    assert ledger.parents.latest_session() is None
    later = make_parent(parent_id="l", session=date(2024, 10, 1))
    ledger.parents.add([later, make_parent()])
    assert ledger.parents.latest_session() == date(2024, 10, 1)
