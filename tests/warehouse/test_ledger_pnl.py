"""Profit from the ledger's executions, and the comparison of lots with sums."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import Fill, Side
from models.portfolio.lots import Split, Transfer
from warehouse.ledger import OrderLedger
from warehouse.ledger.pnl import account_pnl, lots_disagree

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
MakeFill = Callable[..., Fill]


@pytest.fixture
def traded(ledger: OrderLedger, make_fill: MakeFill) -> OrderLedger:
    """5 AAPL at the opening; 10 bought at 100, corrected to 8; 3 KO sold short; a bust."""
    ledger.accounts.record_opening("SIM1", Decimal(10_000), {"AAPL": 5}, NOW)
    record = ledger.executions.record
    buy = {"order_ref": "", "price": Decimal(100), "commission": Decimal("0.35")}
    record(make_fill("a.01", 10, **buy), "SIM1")
    record(make_fill("a.02", 8, **buy), "SIM1")
    record(
        make_fill("b.01", 3, order_ref="", symbol="KO", side=Side.SELL, price=Decimal(60)), "SIM1"
    )
    record(make_fill("c.01", 4, **buy), "SIM1")
    record(make_fill("c.02", 0, **buy), "SIM1")
    return ledger


def test_profit_of_corrections_busts_and_shorts(traded: OrderLedger) -> None:
    marks, costs = {"AAPL": Decimal(110), "KO": Decimal(55)}, {"AAPL": Decimal(90)}
    found = traded.pnl("SIM1", marks, costs)
    aapl, ko = found.symbols
    assert (aapl.shares, aapl.fifo.realised, aapl.fifo.unrealised) == (13, 0, 5 * 20 + 8 * 10)
    assert (ko.shares, ko.average.unrealised, ko.unknown_commissions) == (-3, 15, 1)
    assert found.unrealised == 195
    assert found.worth == found.cash + 13 * 110 - 3 * 55
    assert traded.audit("SIM1").contradictions == ()
    unknown = traded.pnl("SIM1", {}, {})
    assert (unknown.worth, unknown.unrealised, unknown.realised) == (None, None, 0)


def test_what_came_without_a_trade_is_asked_for(traded: OrderLedger) -> None:
    accounts, executions = traded.accounts, traded.executions
    come = Transfer("AAPL", NOW + timedelta(hours=1), Fraction(2))
    assert lots_disagree(accounts, executions, "SIM1") == []
    told = lots_disagree(accounts, executions, "SIM1", [come], Decimal(7))
    assert "AAPL: FIFO lots hold 15 shares, the executions sum to 13" in told
    assert any("cash by average cost lots is" in text for text in told)


def test_a_split_is_an_adjustment_of_the_profit_too(traded: OrderLedger) -> None:
    split = Split("AAPL", NOW + timedelta(hours=1), 2, 1)
    found = account_pnl(
        traded.accounts,
        traded.executions,
        "SIM1",
        {"AAPL": Decimal(55), "KO": Decimal(55)},
        {"AAPL": Decimal(90)},
        adjustments=[split],
    )
    assert found.symbols[0].shares == 26
    assert found.symbols[0].fifo.unrealised == 180


def test_an_account_that_was_never_opened_has_no_profit(ledger: OrderLedger) -> None:
    with pytest.raises(InvalidInput, match="run robo reconcile"):
        ledger.pnl("SIM1", {}, {})
    assert lots_disagree(ledger.accounts, ledger.executions, "SIM1") == []


def test_a_fill_of_an_intent_that_was_never_committed_is_a_contradiction(
    ledger: OrderLedger, commit: Callable[..., object], make_fill: MakeFill
) -> None:
    commit(0)
    ledger.executions.record(make_fill("a.01"), "SIM1")
    ledger.executions.record(make_fill("b.01", order_ref="by hand"), "SIM1")
    ledger.executions.record(make_fill("d.01", order_ref="20240102-ml-AAPL.7.1"), "SIM1")
    ledger.executions.record_commission("z.01", Decimal(1))
    found = ledger.audit("")
    assert (found.own, found.external, found.opening, found.waiting) == (1, 2, 0, ("z",))
    assert [text for text in found.contradictions if "no such intent" in text]
    assert len(found.contradictions) == 1
