"""Broker against ledger: what agrees, how each kind of difference is told, and what mends it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import ChildState, Fill, Side
from models.execution.differences import CashKind
from tasks.books.corrections import accept_differences
from tasks.books.reconciliation import look_before_planning, reconcile, reconcile_session
from tasks.broker.protocol import Commission, OrderStatus
from tasks.session.recovery import recover

FIRST = "p-KO.1.1"


@pytest.fixture
async def traded(start_desk, parent, broker, minute):
    """A desk and a broker that agree after one filled child."""
    desk = start_desk(parent)
    await recover(desk, 0)
    desk.slice_due(minute(1))
    broker.events.append(broker.execute(FIRST, 30, "e.01"))
    told = Commission("e.01", Decimal("0.35"), "USD", None)
    broker.commissions.append(told)
    broker.cash -= told.amount
    broker.events.append(told)
    broker.tell(FIRST, "Filled")
    desk.pump(broker.now)
    broker.now += timedelta(minutes=1)
    return desk


def told(found):
    return [
        (d.kind.value, d.subject, d.ledger, d.broker, d.unit)
        for d in (each.difference for each in found.found)
    ]


def ids(found):
    return [each.id for each in found.found]


def accept(ledger, evidence, *names, reason="the statement says so", **fields):
    return accept_differences(ledger, evidence, names, reason=reason, by="ann", **fields)


async def test_agreement_is_told_with_its_figures(traded, broker):
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert found.agrees
    assert found.summary == (
        "broker and ledger agree: 1 positions to the share, 1 executions of the day, cash "
        "98,499.65 USD to the cent"
    )
    assert found.unknown_commissions == 0


async def test_first_contact_agrees_by_definition(ledger, broker):
    broker.positions = {"KO": 5}
    found = reconcile(ledger, await broker.collect_evidence())
    assert found.agrees
    assert ledger.accounts.opening(broker.account).positions == {"KO": 5}


async def test_a_position_mismatch_has_a_number_and_blocks_its_symbol(traded, broker):
    evidence = await broker.collect_evidence()
    wrong = replace(evidence, positions={"KO": 29, "XOM": 1})
    found = reconcile(traded.ledger, wrong)
    assert told(found) == [
        ("position mismatch", "KO", "30", "29", "shares"),
        ("position mismatch", "XOM", "0", "1", "shares"),
    ]
    assert ids(found) == ["D1", "D2"]
    assert "D1 position mismatch KO: ledger 30 shares, broker 29 shares" in found.summary
    assert ids(reconcile(traded.ledger, wrong)) == ["D1", "D2"], "the same keeps its number"
    assert traded.ledger.differences.blocked(broker.account).keys() == {"KO", "XOM"}
    assert reconcile(traded.ledger, evidence).agrees
    assert traded.ledger.differences.blocked(broker.account) == {}


async def test_other_figures_are_another_difference(traded, broker):
    evidence = await broker.collect_evidence()
    first = reconcile(traded.ledger, replace(evidence, positions={"KO": 29}))
    second = reconcile(traded.ledger, replace(evidence, positions={"KO": 28}))
    assert (ids(first), ids(second)) == (["D1"], ["D2"])
    with pytest.raises(InvalidInput, match="no open difference D1.*open are: D2"):
        accept(traded.ledger, replace(evidence, positions={"KO": 28}), "D1")


@pytest.mark.parametrize(("off", "agrees"), [("0.009", True), ("0.01", False), ("-0.01", False)])
async def test_cash_must_agree_to_the_cent(traded, broker, off, agrees):
    broker.cash += Decimal(off)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert found.agrees is agrees
    if not agrees:
        ((kind, what, ledger, theirs, unit),) = told(found)
        assert (kind, what, unit) == ("cash difference", "balance", "USD")
        assert Decimal(theirs) - Decimal(ledger) == Decimal(off)
    assert traded.ledger.differences.blocked(broker.account) == {}, "cash blocks nothing"


async def test_a_missing_commission_explains_the_cash(traded, broker):
    fill = Fill("x.01", "", "KO", Side.SELL, 1, Decimal(50), broker.now, 5)
    broker.fills.append(fill)
    broker.book("KO", -1, Decimal(50))
    broker.cash -= Decimal("1.00")
    traded.ledger.executions.record(fill, broker.account)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert told(found) == [
        ("cash difference", "(1 commissions unknown)", "98549.6500", "98548.6500", "USD")
    ]
    assert "wait for them first" in found.found[0].difference.proposal


async def test_a_fill_outside_is_attributed_told_once_and_kept(traded, broker):
    fill = Fill("x.01", "", "KO", Side.SELL, 3, Decimal(50), broker.now, 5)
    broker.fills.append(fill)
    broker.commissions.append(Commission("x.01", Decimal(0), "USD", None))
    broker.book("KO", -3, Decimal(50))
    evidence = await broker.collect_evidence()
    found = reconcile(traded.ledger, evidence)
    assert told(found) == [
        (
            "external fill",
            "x.01 (no order of this system)",
            "none",
            "SELL 3 KO at 50 USD",
            "shares",
        )
    ]
    with pytest.raises(InvalidInput, match="nothing to accept|no open difference"):
        accept(traded.ledger, evidence, "D1")
    assert reconcile(traded.ledger, evidence).agrees
    (record,) = traded.ledger.differences.history(broker.account)
    assert (record.id, record.resolution) == ("D1", "recorded")


async def test_a_lost_fill_of_our_own_is_recorded_from_the_brokers_execution(
    traded, broker, minute
):
    traded.slice_due(minute(10))
    fill = broker.execute("p-KO.2.1", 30, "e2.01")
    broker.commissions.append(Commission("e2.01", Decimal(0), "USD", None))
    broker.orders["p-KO.2.1"] = replace(broker.orders["p-KO.2.1"], status="Filled")
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert told(found) == [
        ("missing fill", "e2.01 (p-KO.2.1)", "none", "BUY 30 KO at 50.00 USD", "shares")
    ]
    child = traded.ledger.children.get("p-KO.2.1").order
    assert (child.state, child.filled) == (ChildState.FILLED, fill.quantity)
    assert reconcile(traded.ledger, await broker.collect_evidence()).agrees


async def test_a_correction_that_the_ledger_already_has_is_not_missing(traded, broker):
    known = broker.fills[0]
    newer = replace(known, exec_id="e.02", price=Decimal("49.00"))
    traded.ledger.executions.record(newer, broker.account)
    traded.ledger.executions.record_commission("e.02", Decimal("0.35"))
    broker.cash += 30
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert found.agrees, found.summary


async def test_a_manual_order_is_external_told_once_and_blocks_nothing(traded, broker):
    broker.orders["alien"] = OrderStatus("", 0, 77, 0, "XOM", "Submitted", 0, 10)
    broker.orders["other"] = OrderStatus("x", 5, 78, 9, "KO", "Submitted", 0, 4)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert [line[:4] for line in told(found)] == [
        ("external order", "permId 77", "none", "10 XOM working"),
        ("external order", "permId 78", "none", "4 KO working"),
    ]
    assert "by hand in TWS" in found.found[0].difference.proposal
    assert traded.ledger.differences.blocked(broker.account) == {}
    assert reconcile(traded.ledger, await broker.collect_evidence()).agrees
    seen = traded.ledger.external_orders.of_account(broker.account)
    assert [each.origin for each in seen] == ["by hand in TWS", "by API client 9"]
    assert broker.cancels == []


async def test_an_order_under_our_name_that_nobody_committed_blocks(traded, broker):
    broker.orders["p-KO.9.1"] = OrderStatus("p-KO.9.1", 9, 79, 12, "KO", "Submitted", 0, 4)
    evidence = await broker.collect_evidence()
    found = reconcile(traded.ledger, evidence)
    assert [line[:3] for line in told(found)] == [
        ("unknown order", "permId 79 (p-KO.9.1)", "none at work")
    ]
    assert "KO" in traded.ledger.differences.blocked(broker.account)
    assert accept(traded.ledger, evidence, "D1").agrees
    assert traded.ledger.external_orders.of_account(broker.account)[0].order.perm_id == 79


async def test_two_orders_under_one_name_are_one_too_many(traded, broker, minute):
    traded.slice_due(minute(10))
    ours = broker.orders["p-KO.2.1"]
    broker.orders["second"] = replace(ours, perm_id=ours.perm_id + 50)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert [line[:2] for line in told(found)] == [
        ("unknown order", f"permId {ours.perm_id + 50} (p-KO.2.1)")
    ]


async def test_an_order_that_only_the_ledger_works_blocks_and_cannot_be_accepted(
    traded, broker, minute
):
    traded.slice_due(minute(10))
    ref = "p-KO.2.1"
    assert reconcile(traded.ledger, await broker.collect_evidence()).agrees, "both work it"
    del broker.orders[ref]
    evidence = await broker.collect_evidence()
    found = reconcile(traded.ledger, evidence)
    assert told(found) == [("unsettled order", ref, "ACKED, 30 KO may fill", "none", "shares")]
    assert "KO" in traded.ledger.differences.blocked(broker.account)
    with pytest.raises(InvalidInput, match=f"robo settle {ref}"):
        accept(traded.ledger, evidence, "D1")


async def test_what_the_session_has_in_hand_is_not_a_difference(traded, broker, minute):
    traded.slice_due(minute(10))
    del broker.orders["p-KO.2.1"]
    evidence, book = await broker.collect_evidence(), traded.book
    hers = reconcile_session(traded.ledger, evidence, book.positions, book.cash, ["p-KO"])
    assert hers == ()
    (theirs,) = reconcile_session(traded.ledger, evidence, book.positions, book.cash)
    assert theirs.difference.subject == "p-KO.2.1"
    assert theirs.is_new


async def test_a_held_order_is_at_work_for_both(traded, broker, minute):
    traded.slice_due(minute(10))
    broker.tell("p-KO.2.1", "Inactive", why_held="locate")
    assert reconcile(traded.ledger, await broker.collect_evidence()).agrees


async def test_a_ledger_that_contradicts_itself_is_listed(traded, broker, minute):
    traded.slice_due(minute(10))
    broker.tell("p-KO.2.1", "Filled", 30)
    traded.pump(broker.now)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert [d[0] for d in told(found)] == ["ledger contradiction"]
    assert "some have not come" in found.summary


async def test_accepted_differences_become_adjustments_and_never_touch_a_fill(traded, broker):
    """A dividend, and shares that came without a trade: two rows, with who and why."""
    ledger = traded.ledger
    before = ledger.executions.fills_of_account(broker.account)
    broker.cash += Decimal("13.20")
    evidence = replace(await broker.collect_evidence(), positions={"KO": 60})
    found = reconcile(ledger, evidence)
    assert [line[0] for line in told(found)] == ["position mismatch", "cash difference"]
    why, kind = "two for one; dividend", CashKind.DIVIDEND
    after = accept(ledger, evidence, "d1", "D2", reason=why, cash_kind=kind)
    assert after.agrees
    assert ledger.executions.fills_of_account(broker.account) == before
    assert ledger.executions.positions(broker.account) == {"KO": 60}
    assert ledger.executions.cash(broker.account).amount == broker.cash
    ((shares,), (cash,)) = (
        ledger.adjustments.of_positions(broker.account),
        ledger.adjustments.of_cash(broker.account),
    )
    assert (shares.symbol, shares.shares) == ("KO", 30)
    assert (cash.amount, cash.kind) == (Decimal("13.20"), CashKind.DIVIDEND)
    assert (cash.acceptance.by, cash.acceptance.reason) == ("ann", why)
    assert [r.resolution for r in ledger.differences.history(broker.account)] == ["accepted"] * 2
    assert ledger.differences.blocked(broker.account) == {}


async def test_accepting_one_leaves_the_others_open(traded, broker):
    broker.cash += 100
    evidence = replace(await broker.collect_evidence(), positions={"KO": 61})
    reconcile(traded.ledger, evidence)
    after = accept(traded.ledger, evidence, "D2", cash_kind=CashKind.DEPOSIT)
    assert [line[0] for line in told(after)] == ["position mismatch"]
    with pytest.raises(InvalidInput, match="needs a reason"):
        accept(traded.ledger, evidence, "D1", reason=" ")
    assert traded.ledger.adjustments.of_positions(broker.account) == ()


async def test_a_plan_sees_the_blocks_that_its_own_look_found(traded, broker):
    evidence = replace(await broker.collect_evidence(), positions={"KO": 31})
    (found,) = look_before_planning(traded.ledger, evidence)
    assert found.difference.symbol == "KO"
    assert "D1" in traded.ledger.differences.blocked(broker.account)["KO"]


async def test_a_split_overnight_is_no_mismatch_and_keeps_what_the_position_cost(traded, broker):
    broker.positions["KO"] = 60
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert told(found) == [("split", "KO", "30", "60", "shares")]
    assert "split of 2 for 1" in found.found[0].difference.proposal
    assert traded.ledger.differences.block_reason(broker.account, "KO")
    accept(traded.ledger, await broker.collect_evidence(), *ids(found))
    assert reconcile(traded.ledger, await broker.collect_evidence()).agrees
    assert traded.ledger.differences.blocked(broker.account) == {}
    [row] = traded.ledger.pnl(broker.account, {"KO": Decimal(30)}, {}).symbols
    assert (row.shares, row.fifo.average_cost, row.average.average_cost) == (60, 25, 25)
    assert row.fifo.unrealised == 60 * (30 - 25)
    assert traded.ledger.audit(broker.account).contradictions == ()


@pytest.mark.parametrize(("shares", "cash"), [(60, "-1500"), (31, "0"), (-30, "0"), (45, "0.02")])
async def test_what_only_looks_like_a_split_is_a_mismatch(traded, broker, shares, cash):
    broker.positions["KO"], broker.cash = shares, broker.cash + Decimal(cash)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert found.found[0].difference.kind.value == "position mismatch"
