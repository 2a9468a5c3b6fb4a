"""What a day's orders did: benchmarks noted once, sums from the ledger, unknown kept unknown."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from parent_orders import parent_order

from models.domain.orders import ChildOrder, Fill, ParentState, Quote, Side
from models.execution.curves import TwapCurve
from tasks.books.execution_report import day_report, note_mids, record_costs
from tasks.stores import open_warehouse

DAY = date(2022, 12, 29)
NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)
ACCOUNT = "SIM0000001"


def parent(symbol="KO", side=Side.BUY, quantity=20):
    return parent_order(NOW, symbol, side=side, quantity=quantity)


def desk_of(orders, quotes):
    """What `note_mids` reads of a desk: executions with their curves, and quotes."""
    executions = {
        order.parent_id: SimpleNamespace(
            parent=order, curve=TwapCurve(order.quantity, order.start, order.end, 2)
        )
        for order in orders
    }
    return SimpleNamespace(executions=executions, quote=quotes.get)


def quote(symbol, bid="49.90", ask="50.10"):
    return Quote(symbol, Decimal(bid), Decimal(ask), 100, 100, NOW)


@pytest.fixture
def traded(ledger):
    """One parent with two fills, the commission of the second unknown so far."""
    ledger.accounts.record_opening(ACCOUNT, Decimal(100_000), {}, NOW - timedelta(days=1))
    order = parent()
    ledger.parents.add([order])
    child = ChildOrder("p-KO", 1, 1, "KO", Side.BUY, 20, Decimal("50.20"), "IOC")
    ledger.children.commit_intent(child, 11, ACCOUNT, next_valid_id=1, at=NOW)
    note_mids(ledger, desk_of([order], {"KO": quote("KO")}), "arrival", NOW)
    for number, shares, price in ((1, 15, "50.10"), (2, 5, "50.20")):
        fill = Fill(f"e{number}.01", "p-KO.1.1", "KO", Side.BUY, shares, Decimal(price), NOW, 9)
        ledger.executions.record(fill, ACCOUNT)
    ledger.executions.record_commission("e1.01", Decimal("0.35"))
    ledger.parents.set_state("p-KO", ParentState.FILLED, "filled all 20 shares")
    return ledger


def test_a_mid_is_noted_once_a_moment_and_only_from_a_sane_quote(ledger):
    orders = [parent("KO"), parent("PEP"), parent("XOM")]
    quotes = {"KO": quote("KO"), "PEP": quote("PEP", "50.20", "50.10")}
    early = desk_of(orders, quotes)
    note_mids(ledger, early, "arrival", NOW - timedelta(seconds=1))
    assert all(mid is None for mid in arrivals(ledger)), "no parent has started"
    note_mids(ledger, early, "arrival", NOW)
    later = desk_of(orders, {s: quote(s, "60.00", "60.02") for s in ("KO", "PEP", "XOM")})
    note_mids(ledger, later, "arrival", NOW + timedelta(minutes=5))
    assert [str(mid) for mid in arrivals(ledger)] == ["50.00", "60.01", "60.01"]


def arrivals(ledger):
    return [ledger.worked.mid(f"p-{symbol}", "arrival") for symbol in ("KO", "PEP", "XOM")]


def test_an_unknown_commission_keeps_the_sum_unknown(traded):
    report = day_report(traded, ACCOUNT, DAY)
    (row,) = report.parents
    assert (row.filled, row.state) == (20, ParentState.FILLED)
    assert row.average_price == Decimal("50.125")
    assert row.arrival_price == Decimal("50.00")
    assert row.commission is None
    assert report.commission is None
    assert report.shortfall_usd is None
    assert report.traded_notional == Decimal("1002.50")


def test_the_shortfall_is_cost_against_the_decision_and_the_fees(traded):
    traded.executions.record_commission("e2.01", Decimal("0.35"))
    report = day_report(traded, ACCOUNT, DAY)
    assert report.commission == Decimal("0.70")
    assert report.shortfall_usd == Decimal("3.20")  # 15 * 0.10 + 5 * 0.20, and 0.70 of fees
    assert report.shortfall_bps == Decimal("3.20") / 1000 * 10_000


def test_the_days_worth_is_the_brokers_and_unknown_until_told(traded):
    report = day_report(traded, ACCOUNT, DAY)
    assert (report.equity_before, report.equity_after) == (None, None)
    for moment, worth in (("before", 1), ("after", 2), ("after", 3)):
        at = NOW + timedelta(minutes=worth)
        label = f"{DAY} {moment}"
        traded.accounts.record_snapshot(ACCOUNT, at, Decimal(0), Decimal(worth), label)
    report = day_report(traded, ACCOUNT, DAY)
    assert (report.equity_before, report.equity_after) == (Decimal(1), Decimal(3))


def test_sells_come_first_and_denied_parents_are_not_worked(ledger):
    ledger.parents.add([parent("AAPL"), parent("XOM", Side.SELL), parent("KO", Side.SELL)])
    ledger.parents.set_state("p-XOM", ParentState.REJECTED, "too large")
    report = day_report(ledger, ACCOUNT, DAY)
    assert [row.order.symbol for row in report.parents] == ["KO", "XOM", "AAPL"]
    assert [row.order.symbol for row in report.worked] == ["KO", "AAPL"]


def test_costs_are_kept_once_in_the_warehouse(traded, settings):
    store = open_warehouse(settings)
    report = day_report(traded, ACCOUNT, DAY)
    record_costs(store, report, NOW)
    traded.executions.record_commission("e2.01", Decimal("0.35"))
    record_costs(store, day_report(traded, ACCOUNT, DAY), NOW)
    (row,) = store.tca.of_session(DAY)
    assert (row.parent_id, row.filled, row.commission_usd) == ("p-KO", 20, Decimal("0.70"))
