from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading, InvalidInput
from models.domain.orders import ChildOrder, ChildState, Fill, Side
from warehouse.ledger import OrderLedger
from warehouse.ledger.executions import CashView

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
MakeFill = Callable[..., Fill]
Commit = Callable[..., ChildOrder]


def open_account(ledger: OrderLedger) -> None:
    ledger.accounts.record_opening("SIM1", Decimal("10000.00"), {"AAPL": 5, "KO": 3}, NOW)


def test_a_fill_comes_back_exactly(
    ledger: OrderLedger, commit: Commit, make_fill: MakeFill
) -> None:
    commit(0)
    fill = make_fill(price=Decimal("186.05000"), commission=Decimal("1.000"))
    assert ledger.executions.record(fill, "SIM1")
    assert not ledger.executions.record(fill, "SIM1")
    assert ledger.executions.fills_of("20240102-ml-AAPL") == (fill,)
    assert str(ledger.executions.fills_of("20240102-ml-AAPL")[0].price) == "186.05000"


def test_positions_and_cash_follow_from_the_opening_and_the_fills(
    ledger: OrderLedger, make_fill: MakeFill
) -> None:
    open_account(ledger)
    record = ledger.executions.record
    record(make_fill("a.01", 10, price=Decimal("100.10"), commission=Decimal("1.005")), "SIM1")
    record(make_fill("b.01", 3, symbol="KO", side=Side.SELL, price=Decimal("60")), "SIM1")
    record(make_fill("c.01", 2, symbol="PEP", side=Side.SELL, price=Decimal("170.5")), "SIM1")
    assert ledger.executions.positions("SIM1") == {"AAPL": 15, "PEP": -2}
    expected = Decimal("10000") - Decimal("1001.00") + 180 + 341 - Decimal("1.005")
    assert ledger.executions.cash("SIM1") == CashView(expected, 2)


def test_corrections_replace_and_busts_remove(ledger: OrderLedger, make_fill: MakeFill) -> None:
    open_account(ledger)
    record = ledger.executions.record
    assert record(make_fill("a.01", 10, price=Decimal("100")), "SIM1")
    assert record(make_fill("a.02", 8, price=Decimal("101")), "SIM1")
    assert not record(make_fill("a.01", 10, price=Decimal("100")), "SIM1")
    assert ledger.executions.positions("SIM1")["AAPL"] == 13
    assert ledger.executions.cash("SIM1").amount == Decimal("10000") - 808
    assert record(make_fill("a.03", 0, price=Decimal("101")), "SIM1")
    assert ledger.executions.positions("SIM1")["AAPL"] == 5
    assert ledger.executions.cash("SIM1") == CashView(Decimal("10000.00"), 0)
    (kept,) = ledger.executions.fills_of_account("SIM1")
    assert (kept.exec_id, kept.quantity) == ("a.03", 0)


@pytest.mark.parametrize("first", ["commission", "execution"])
def test_a_commission_may_come_first(ledger: OrderLedger, make_fill: MakeFill, first: str) -> None:
    open_account(ledger)
    if first == "execution":
        ledger.executions.record(make_fill("a.01", 10, price=Decimal("1")), "SIM1")
        assert ledger.executions.cash("SIM1") == CashView(Decimal("9990.00"), 1)
    ledger.executions.record_commission("a.01", Decimal("0.35"), "USD", Decimal("2"))
    if first == "commission":
        assert ledger.executions.cash("SIM1") == CashView(Decimal("10000.00"), 0)
        ledger.executions.record(make_fill("a.01", 10, price=Decimal("1")), "SIM1")
    assert ledger.executions.cash("SIM1") == CashView(Decimal("9989.65"), 0)


def test_a_later_commission_report_replaces_the_earlier(
    ledger: OrderLedger, make_fill: MakeFill
) -> None:
    open_account(ledger)
    ledger.executions.record(make_fill("a.01", 10, price=Decimal("1")), "SIM1")
    ledger.executions.record_commission("a.01", Decimal("0.35"))
    ledger.executions.record_commission("a.01", Decimal("0.30"))
    assert ledger.executions.cash("SIM1").amount == Decimal("9989.70")


def test_a_correction_keeps_the_commission_until_its_own_comes(
    ledger: OrderLedger, make_fill: MakeFill
) -> None:
    open_account(ledger)
    ledger.executions.record(make_fill("a.01", 10, price=Decimal("1")), "SIM1")
    ledger.executions.record_commission("a.01", Decimal("0.35"))
    ledger.executions.record(make_fill("a.02", 9, price=Decimal("1")), "SIM1")
    assert ledger.executions.cash("SIM1") == CashView(Decimal("9990.65"), 0)
    ledger.executions.record_commission("a.02", Decimal("0.30"))
    assert ledger.executions.cash("SIM1") == CashView(Decimal("9990.70"), 0)
    ledger.executions.record(make_fill("a.03", 0, price=Decimal("1")), "SIM1")
    assert ledger.executions.cash("SIM1") == CashView(Decimal("10000.00"), 0)


def test_a_commission_in_another_currency_is_unknown_in_usd(
    ledger: OrderLedger, make_fill: MakeFill
) -> None:
    open_account(ledger)
    ledger.executions.record(make_fill("a.01", 10, price=Decimal("1")), "SIM1")
    ledger.executions.record_commission("a.01", Decimal("0.35"), "EUR")
    assert ledger.executions.cash("SIM1") == CashView(Decimal("9990.00"), 1)
    assert ledger.executions.fills_of_account("SIM1")[0].commission is None


@pytest.mark.parametrize(
    "changes",
    [{"quantity": 11}, {"price": Decimal("186.06")}, {"side": Side.SELL}, {"symbol": "MSFT"}],
    ids=["quantity", "price", "side", "symbol"],
)
def test_one_execution_id_with_two_contents_stops_trading(
    ledger: OrderLedger, make_fill: MakeFill, changes: dict[str, object]
) -> None:
    ledger.executions.record(make_fill(), "SIM1")
    with pytest.raises(HaltTrading, match="different content"):
        ledger.executions.record(make_fill(**changes), "SIM1")


def test_fills_that_the_opening_contains_do_not_count_again(
    ledger: OrderLedger, make_fill: MakeFill
) -> None:
    earlier = make_fill("a.01", 5)
    ledger.accounts.record_opening("SIM1", Decimal(1000), {"AAPL": 5}, NOW, fills=[earlier])
    assert not ledger.executions.record(earlier, "SIM1")
    assert ledger.executions.positions("SIM1") == {"AAPL": 5}
    assert ledger.executions.cash("SIM1") == CashView(Decimal(1000), 0)
    assert ledger.executions.record(make_fill("b.01", 1, price=Decimal(2)), "SIM1")
    assert ledger.executions.positions("SIM1") == {"AAPL": 6}


def test_orders_of_others_count_in_positions_only(
    ledger: OrderLedger, commit: Commit, make_fill: MakeFill
) -> None:
    open_account(ledger)
    commit(0)
    ledger.executions.record(make_fill("a.01", 7, order_ref=""), "SIM1")
    ledger.executions.record(make_fill("b.01", 1, order_ref="", symbol="XOM"), "SIM2")
    assert ledger.executions.positions("SIM1") == {"AAPL": 12, "KO": 3}
    assert ledger.executions.fills_of("20240102-ml-AAPL") == ()
    assert ledger.check() == []


def test_without_an_opening_nothing_is_derived(ledger: OrderLedger) -> None:
    for derive in (ledger.executions.positions, ledger.executions.cash):
        with pytest.raises(InvalidInput, match="opening"):
            derive("SIM1")


def test_an_opening_is_recorded_once(ledger: OrderLedger, make_fill: MakeFill) -> None:
    assert ledger.accounts.opening("SIM1") is None
    first = ledger.accounts.record_opening("SIM1", Decimal("5.10"), {"KO": 1, "PEP": 0}, NOW)
    assert first.positions == {"KO": 1}
    assert ledger.accounts.opening("SIM1") == first
    assert ledger.accounts.record_opening("SIM1", Decimal("5.10"), {"KO": 1}, NOW) == first
    with pytest.raises(InvalidInput, match="once"):
        ledger.accounts.record_opening("SIM1", Decimal("5.11"), {"KO": 1}, NOW)
    ledger.executions.record(make_fill(), "SIM2")
    with pytest.raises(InvalidInput, match="already has executions"):
        ledger.accounts.record_opening("SIM2", Decimal(1), {}, NOW)


def test_snapshots_are_kept_by_moment_and_label(ledger: OrderLedger) -> None:
    record = ledger.accounts.record_snapshot
    record("SIM1", NOW + timedelta(hours=1), Decimal("9.5"), Decimal("101.5"), "after")
    record("SIM1", NOW, Decimal("10"), Decimal("100"), "before")
    record("SIM1", NOW, Decimal("10.5"), Decimal("100.5"), "before")
    found = ledger.accounts.snapshots("SIM1")
    assert [(s.label, s.cash, s.net_liquidation) for s in found] == [
        ("before", Decimal("10.5"), Decimal("100.5")),
        ("after", Decimal("9.5"), Decimal("101.5")),
    ]
    assert ledger.accounts.snapshots("SIM1", "after") == found[1:]
    assert ledger.accounts.snapshots("SIM2") == ()


def test_the_latest_account_is_the_one_opened_last(ledger: OrderLedger) -> None:
    assert ledger.accounts.latest_account() is None
    ledger.accounts.record_opening("SIM2", Decimal(1), {}, NOW + timedelta(days=1))
    ledger.accounts.record_opening("SIM9", Decimal(1), {}, NOW)
    assert ledger.accounts.latest_account() == "SIM2"


def test_a_complete_read_explains_what_corrections_have_replaced(
    ledger: OrderLedger, commit: Commit, make_fill: MakeFill
) -> None:
    """30 were filled and 20 of them busted while nobody listened: the read shows the bust alone."""
    open_account(ledger)
    commit(0, 30)
    ref = "20240102-ml-AAPL.0.1"
    ledger.children.record_status(ref, ChildState.CANCELLED, filled=30, perm_id=7001)
    ledger.executions.record(make_fill("a.01", 10), "SIM1")
    ledger.executions.record(make_fill("b.02", 0), "SIM1")
    assert any("some have not come" in line for line in ledger.check())
    ledger.executions.explain_reported(ref)
    assert ledger.check() == []
    assert ledger.executions.positions("SIM1")["AAPL"] == 15
    assert [f.exec_id for f in ledger.executions.revisions_of("20240102-ml-AAPL")] == [
        "a.01",
        "b.02",
    ]
    ledger.executions.record(make_fill("b.01", 20), "SIM1")
    record = ledger.children.get(ref)
    assert record is not None
    assert (record.order.state, record.order.filled) == (ChildState.FILLED, 10)
    assert [f.exec_id for f in ledger.executions.fills_of("20240102-ml-AAPL")] == ["a.01", "b.02"]


def test_a_share_without_any_correction_stays_unexplained(
    ledger: OrderLedger, commit: Commit, make_fill: MakeFill
) -> None:
    commit(0, 30)
    ref = "20240102-ml-AAPL.0.1"
    ledger.executions.record(make_fill("a.01", 10), "SIM1")
    ledger.children.record_status(ref, ChildState.CANCELLED, filled=30)
    ledger.executions.explain_reported(ref)
    ledger.executions.explain_reported("nobody")
    assert any("some have not come" in line for line in ledger.check())
