"""Broker against ledger: what agrees, and how each kind of difference is told."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.orders import Fill, Side
from tasks.broker.protocol import Commission, OrderStatus
from tasks.reconciliation import reconcile
from tasks.recovery import recover

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


def by_kind(found):
    return [(d.kind, d.what, d.ledger, d.broker, d.unit) for d in found.differences]


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


async def test_a_position_difference_names_symbol_and_shares(traded, broker):
    evidence = await broker.collect_evidence()
    found = reconcile(traded.ledger, replace(evidence, positions={"KO": 29, "XOM": 1}))
    assert by_kind(found) == [
        ("position", "KO", "30", "29", "shares"),
        ("position", "XOM", "0", "1", "shares"),
    ]
    assert "position KO: ledger 30 shares, broker 29 shares" in found.summary


@pytest.mark.parametrize(("off", "agrees"), [("0.009", True), ("0.01", False), ("-0.01", False)])
async def test_cash_must_agree_to_the_cent(traded, broker, off, agrees):
    broker.cash += Decimal(off)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert found.agrees is agrees
    if not agrees:
        ((kind, what, ledger, theirs, unit),) = by_kind(found)
        assert (kind, what, unit) == ("cash", "balance", "USD")
        assert Decimal(theirs) - Decimal(ledger) == Decimal(off)


async def test_a_missing_commission_explains_the_cash(traded, broker):
    fill = Fill("x.01", "", "KO", Side.SELL, 1, Decimal(50), broker.now, 5)
    broker.fills.append(fill)
    broker.book("KO", -1, Decimal(50))
    broker.cash -= Decimal("1.00")
    traded.ledger.executions.record(fill, broker.account)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert by_kind(found) == [
        ("cash", "(1 commissions unknown)", "98549.6500", "98548.6500", "USD")
    ]
    assert found.unknown_commissions == 1


async def test_an_execution_that_the_ledger_missed_is_listed_once_and_kept(traded, broker):
    fill = Fill("x.01", "", "KO", Side.SELL, 3, Decimal(50), broker.now, 5)
    broker.fills.append(fill)
    broker.commissions.append(Commission("x.01", Decimal(0), "USD", None))
    broker.book("KO", -3, Decimal(50))
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert by_kind(found) == [
        ("execution", "x.01 (no order of this system)", "none", "SELL 3 KO", "shares")
    ]
    assert reconcile(traded.ledger, await broker.collect_evidence()).agrees


async def test_a_correction_that_the_ledger_already_has_is_not_missing(traded, broker):
    known = broker.fills[0]
    newer = replace(known, exec_id="e.02", price=Decimal("49.00"))
    traded.ledger.executions.record(newer, broker.account)
    traded.ledger.executions.record_commission("e.02", Decimal("0.35"))
    broker.cash += 30
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert found.agrees, found.summary


async def test_an_order_that_only_the_broker_works_is_listed(traded, broker):
    broker.orders["alien"] = OrderStatus("", 0, 77, 0, "XOM", "Submitted", 0, 10)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert by_kind(found) == [("open order", "permId 77", "none", "10 XOM working", "shares")]


async def test_an_order_that_only_the_ledger_works_is_listed(traded, broker, minute):
    traded.slice_due(minute(10))
    ref = "p-KO.2.1"
    assert reconcile(traded.ledger, await broker.collect_evidence()).agrees, "both work it"
    del broker.orders[ref]
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert by_kind(found) == [("open order", ref, "ACKED, 30 KO may fill", "none", "shares")]


async def test_a_held_order_is_at_work_for_both(traded, broker, minute):
    traded.slice_due(minute(10))
    broker.tell("p-KO.2.1", "Inactive", why_held="locate")
    assert reconcile(traded.ledger, await broker.collect_evidence()).agrees


async def test_a_ledger_that_contradicts_itself_is_listed(traded, broker, minute):
    traded.slice_due(minute(10))
    broker.tell("p-KO.2.1", "Filled", 30)
    traded.pump(broker.now)
    found = reconcile(traded.ledger, await broker.collect_evidence())
    assert [d.kind for d in found.differences] == ["ledger"]
    assert "some have not come" in found.summary
