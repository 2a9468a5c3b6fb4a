"""What a session does for stops and targets while it runs, and with its very last look."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.orders import ChildState, ParentState
from models.domain.regimes import Regime
from models.risk.exits import ExitRules
from models.risk.limits import RiskLimits
from tasks.books.account_snapshot import read_account
from tasks.books.execution_report import note_mids
from tasks.books.reconciliation import reconcile
from tasks.broker.ibkr import OrderConnection
from warehouse.ledger.symbol_facts import SymbolFacts

pytestmark = pytest.mark.journey

WIDE = {"max_order_quantity": 100_000, "max_price_gap": 1.0, "max_drawdown": 0.9}
RESTING = RiskLimits(**WIDE, exits=ExitRules(mode="resting"))


@pytest.fixture
def buy(gateway, ledger, make_span, make_parent):
    """Plan the purchase of 30 shares that will have a stop far away; return its session."""

    def plan(symbol):
        span = make_span(gateway, 12)

        async def ask():
            async with gateway.data(40) as link:
                first = span.session - timedelta(days=9)
                bars = await link.daily_bars(symbol, first, span.session - timedelta(days=1))
                return Decimal(str(bars["close"].iloc[-1])).quantize(Decimal("0.01"))

        price = asyncio.run(ask())
        facts = SymbolFacts(symbol, price, 1e7, 5.0, Regime.BULL)
        ledger.facts.note(span.session, [facts], span.start - timedelta(hours=1))
        ledger.parents.add([make_parent(span, symbol, quantity=30, decision_price=price)])
        return span.session

    return plan


def working(settings, symbol):
    return {o.order_ref: o for o in read_account(settings).open_orders if o.symbol == symbol}


def test_an_exit_that_never_arrived_is_placed_again_before_the_next_slice(
    gateway, settings, ledger, buy, execute, monkeypatch
):
    """Ten of thirty shares are held: they are not left bare until the session's end."""
    real, sent = OrderConnection.send, []

    def send(self, child):
        sent.append(child)
        if not (child.oca_group and child.attempt == 1):
            real(self, child)

    monkeypatch.setattr(OrderConnection, "send", send)
    session = buy("PFE")
    execute(settings, ledger, limits=RESTING)
    names = [c.order_ref for c in sent]
    first = ledger.parents.of_session(session, "exits")[0].order.parent_id
    (entry,) = [r.order.parent_id for r in ledger.parents.of_session(session, "t")]
    assert names.index(f"{first}.1.2") < names.index(f"{entry}.2.1")
    lost = [c for c in sent if c.oca_group and c.attempt == 1]
    states = {ledger.children.get(child.order_ref).order.state for child in lost}
    assert states == {ChildState.NEVER_SENT}
    assert {o.remaining for o in working(settings, "PFE").values()} == {30}
    assert reconcile(ledger, read_account(settings)).agrees


def test_the_last_look_of_a_session_protects_once_more(
    gateway, settings, ledger, buy, execute, monkeypatch
):
    """Somebody cancels the stop in TWS in the session's last seconds."""
    cancelled = []

    def last_moment(ledger_, desk, moment, at):
        if moment == "end":
            children = [c for e in desk.resting.values() for c in e.children.values()]
            (stop,) = [c for c in children if c.leaves and c.stop_price]
            cancelled.append(stop.perm_id)
            gateway.ask("cancel", perm_id=stop.perm_id)
        note_mids(ledger_, desk, moment, at)

    monkeypatch.setattr("tasks.session.sessions.note_mids", last_moment)
    session = buy("BAC")
    execute(settings, ledger, limits=RESTING)
    resting = working(settings, "BAC")
    assert len(cancelled) == 1
    assert sorted(order.remaining for order in resting.values()) == [30, 30]
    assert cancelled[0] not in {order.perm_id for order in resting.values()}
    states = [r.state for r in ledger.parents.of_session(session, "exits")]
    assert states.count(ParentState.WORKING) == 1
    assert reconcile(ledger, read_account(settings)).agrees
    assert ledger.check() == []
