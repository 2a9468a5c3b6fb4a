"""The desk denies, records why and by which version, and disables what keeps going wrong."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading
from models.domain.orders import ChildState, Fill, Quote, Side
from models.domain.regimes import Regime
from models.risk.limits import RiskLimits
from tasks.books.order_list import list_orders
from tasks.broker.protocol import BrokerNotice
from tasks.session.recovery import recover
from warehouse.ledger.symbol_facts import SymbolFacts


async def opened(start_desk, *parents, limits=None):
    desk = start_desk(*parents, limits=limits)
    desk.alert = lambda subject, text: None
    await recover(desk, 0.0)
    return desk


def refuse_all(broker, desk):
    for order in list(broker.orders.values()):
        if not order.is_over and order.status != "Inactive":
            broker.events.append(BrokerNotice(201, "order rejected", order.order_ref))
            broker.tell(order.order_ref, "Inactive")
    desk.pump(broker.now)


async def test_refusals_disable_a_symbol_until_a_person_enables_it(
    start_desk, broker, ledger, make_parent, minute
):
    parents = [make_parent(parent_id=f"p{n}", strategy=f"s{n}") for n in range(4)]
    limits = RiskLimits(max_rejects=2, duplicate_window=0)
    desk = await opened(start_desk, *parents, limits=limits)
    alerts = []
    desk.alert = lambda subject, text: alerts.append((subject, text))
    for n in range(3):
        desk.slice_due(minute(0.1 + n / 10))
        refuse_all(broker, desk)
    desk.slice_due(minute(11))
    refuse_all(broker, desk)
    sent = len(broker.sent)
    desk.slice_due(minute(12))
    assert [subject for subject, _ in alerts] == ["symbol KO disabled"]
    assert "robo limits enable KO" in alerts[0][1]
    (one,) = ledger.disablements.current()
    assert (one.kind, one.name, one.by) == ("symbol", "KO", "the repeated-execution throttle")
    desk.slice_due(minute(21))
    assert len(broker.sent) == sent, "nothing more is sent in it"
    assert any("robo limits enable" in reason for reason in desk.denied.values())
    ledger.disablements.enable("KO", "the broker's mistake", "ann", broker.now)
    desk.slice_due(minute(22))
    assert len(broker.sent) > sent
    refuse_all(broker, desk)
    assert ledger.disablements.forgiveness("symbol", "KO", make_parent().session) == (1, sent)


async def test_a_denied_child_is_kept_with_its_numbers_and_version_and_listed(
    start_desk, broker, ledger, make_parent, minute
):
    version = ledger.limits.record("x = 1\n", "h", "ann", minute(0), "limits.toml").version
    desk = await opened(start_desk, make_parent(), limits=RiskLimits(max_order_notional=100.0))
    desk.limits_version = version
    desk.slice_due(minute(1))
    desk.slice_due(minute(2))
    assert broker.sent == []
    (line,) = list_orders(ledger, None)
    (denial,) = line.denials
    assert (denial.check, denial.order_ref, denial.limits_version) == ("notional", "p-KO.1.1", 1)
    assert denial.numbers["limit"] == 100.0 and denial.numbers["value"] > 1000
    assert "USD is above the limit" in denial.reason


@pytest.mark.parametrize("factor", ["0.01", "0.1", "10", "100"])
async def test_a_quote_in_other_units_sends_nothing(
    start_desk, broker, ledger, make_parent, minute, factor
):
    ledger.facts.note(
        make_parent().session, [SymbolFacts("KO", Decimal(50), 1e7, 1.0, Regime.BULL)], minute(0)
    )
    desk = await opened(start_desk, make_parent())
    mid = Decimal(50) * Decimal(factor)
    cent = Decimal("0.01")
    desk.quote = lambda symbol: Quote(symbol, mid - cent, mid + cent, 500, 500, broker.now)
    desk.slice_due(minute(1))
    assert broker.sent == []
    assert "jump" in next(iter(desk.denied.values()))
    desk.quote = lambda symbol: Quote(symbol, Decimal("49.99"), Decimal(50), 500, 500, broker.now)
    desk.slice_due(minute(2))
    assert len(broker.sent) == 1


@pytest.mark.parametrize(("remaining", "may_go"), [(None, True), (3, True), (1, True), (0, False)])
async def test_the_smaller_of_our_and_the_brokers_day_trades_holds(
    start_desk, broker, ledger, make_parent, minute, remaining, may_go
):
    """Three were made in TWS before this system first saw the account, says the broker."""
    broker.cash, broker.day_trades_remaining = Decimal(20_000), remaining
    broker.book("KO", 90, Decimal(50))
    bought = Fill("b.01", "", "KO", Side.BUY, 90, Decimal(50), minute(0), 5)
    ledger.accounts.record_opening(
        broker.account, broker.cash, broker.positions, minute(0), (bought,)
    )
    desk = await opened(
        start_desk, make_parent(side=Side.SELL), limits=RiskLimits(max_drawdown=0.9)
    )
    desk.book.day_start_equity = desk.book.peak_equity = 20_000.0
    desk.slice_due(minute(1))
    assert len(broker.sent) == int(may_go), desk.denied


async def test_the_order_that_would_make_a_fourth_day_trade_is_denied(
    start_desk, broker, ledger, make_parent, minute
):
    broker.cash = Decimal(20_000)
    broker.book("KO", 90, Decimal(50))
    desk = await opened(
        start_desk, make_parent(side=Side.SELL), limits=RiskLimits(max_drawdown=0.9)
    )
    desk.book.day_start_equity = desk.book.peak_equity = 20_000.0
    for n, (symbol, side) in enumerate([(s, d) for s in "ABC" for d in Side] + [("KO", Side.BUY)]):
        at = minute(0) + timedelta(seconds=n)
        price = Decimal(1)
        ledger.executions.record(
            Fill(f"d{n}.01", "", symbol, side, 90, price, at, 5), broker.account
        )
    desk.book.refresh()
    desk.slice_due(minute(1))
    assert broker.sent == [], "of the 180 shares today has bought 90"
    assert "day_trades" in next(iter(desk.denied.values()))
    desk.book.cash += 20_000
    desk.slice_due(minute(2))
    assert len(broker.sent) == 1, "an account above 25,000 USD may"


async def test_a_runaway_engine_meets_the_ledgers_own_sum(
    start_desk, broker, ledger, make_parent, minute
):
    """Fault 28: whatever the engine believes is left, no parent sends more than it is."""
    desk = await opened(start_desk, make_parent(quantity=90), limits=RiskLimits(max_attempts=100))
    desk.slice_due(minute(1))
    child = broker.sent[0]
    sent = 0
    for n in range(2, 50):
        runaway = replace(child, slice_no=n, order_id=None, state=ChildState.INTENT)
        try:
            ledger.children.commit_intent(
                runaway, 11, broker.account, next_valid_id=n, at=broker.now, lease=desk.lease
            )
            sent += runaway.quantity
        except HaltTrading as error:
            assert "filled or may still fill" in str(error)
    assert child.quantity + sent == 90
