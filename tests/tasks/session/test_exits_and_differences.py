"""Exits where broker and ledger differ, and after a split: never on shares or prices of before."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.orders import Fill, ParentState, Side
from models.domain.regimes import Regime
from models.domain.sessions import exchange_date
from models.risk.exits import ExitRules
from models.risk.limits import RiskLimits
from tasks.books.split_booking import book_splits
from tasks.session.exit_watch import settle_vanished
from tasks.session.exits import ExitKeeper
from tasks.session.recovery import recover
from warehouse.ledger.symbol_facts import SymbolFacts

RESTING = RiskLimits(exits=ExitRules(mode="resting"))
FACTS = SymbolFacts("KO", Decimal("50.00"), 1e7, 1.0, Regime.BULL)


@pytest.fixture
def start(start_desk, ledger, broker, minute):
    """Open a desk with its exits loaded and recovered; again is a restart."""

    def go():
        ledger.facts.note(minute(0).date(), (FACTS, replace(FACTS, symbol="PEP")), minute(0))
        minute(1)
        desk = start_desk(limits=RESTING)
        keeper = ExitKeeper(desk)
        keeper.load()
        evidence = asyncio.run(recover(desk, 0.0))
        asyncio.run(settle_vanished(desk, evidence, 0.0))
        return desk, keeper

    return go


def rest_all(broker, keeper):
    keeper.keep(broker.now)
    for child in list(broker.sent):
        if not broker.orders[child.order_ref].is_over:
            broker.tell(child.order_ref, "Submitted")
    keeper.desk.pump(broker.now)


def living(broker):
    return sorted((o.symbol, o.remaining) for o in broker.orders.values() if not o.is_over)


def end_cancelled(broker, keeper):
    """Answer every cancel that was asked for."""
    for child in broker.sent:
        if child.order_id in broker.cancels and not broker.orders[child.order_ref].is_over:
            broker.tell(child.order_ref, "Cancelled")
    keeper.desk.pump(broker.now)


def test_an_exit_covers_what_broker_and_ledger_both_hold(start, broker, ledger):
    """Sold by hand, and the execution is no longer shown: an exit of all would end short."""
    broker.book("KO", 90, Decimal(50))
    start()
    broker.positions = {"KO": 40}
    desk, keeper = start()
    rest_all(broker, keeper)
    assert desk.book.positions == {"KO": 90}
    assert living(broker) == [("KO", 40), ("KO", 40)]
    passed = {c.check: c.reason for c in ledger.parents.verdicts("20221229-exit-KO-1")}
    assert passed == {}, "nothing was denied"


@pytest.mark.parametrize(("theirs", "covered"), [(40, 40), (0, 0), (-10, 0), (130, 90)])
def test_exits_at_the_broker_are_cut_to_the_shares_of_both(start, broker, theirs, covered):
    """Rested for 90; what one view alone has is not sold, and a short is not bought back."""
    broker.book("KO", 90, Decimal(50))
    _, keeper = start()
    rest_all(broker, keeper)
    broker.positions = {"KO": theirs} if theirs else {}
    _, keeper = start()
    assert keeper.wanted("KO") == covered
    keeper.keep(broker.now)
    end_cancelled(broker, keeper)
    rest_all(broker, keeper)
    assert living(broker) == [("KO", covered)] * (2 if covered else 0)
    broker.positions = {"KO": 90}  # found again: both agree
    _, keeper = start()
    keeper.keep(broker.now)
    end_cancelled(broker, keeper)
    rest_all(broker, keeper)
    assert living(broker) == [("KO", 90)] * 2


def test_a_gap_that_two_looks_tell_differently_moves_no_exit(start, broker, monkeypatch):
    """An execution may be under way: nothing is cut on the first figure."""
    broker.book("KO", 90, Decimal(50))
    _, keeper = start()
    rest_all(broker, keeper)
    broker.positions = {"KO": 70}
    told = iter([70, 60, 60, 60])
    real = type(broker).collect_evidence

    async def collect(self):
        self.positions = {"KO": next(told)}
        return await real(self)

    monkeypatch.setattr(type(broker), "collect_evidence", collect)
    desk, keeper = start()
    keeper.keep(broker.now)
    assert (desk.book.gaps, broker.cancels) == ({}, [])
    asyncio.run(recover(desk, 0.0))
    keeper.keep(broker.now)
    assert desk.book.gaps == {"KO": -30}
    assert len(broker.cancels) == 2


def test_a_gap_beside_an_exit_that_is_not_shown_yet_moves_nothing(start, broker):
    """It may be what has traded, and its execution is under way."""
    broker.book("KO", 90, Decimal(50))
    desk, keeper = start()
    broker.loses = True
    keeper.keep(broker.now)
    broker.positions = {"KO": 40}
    asyncio.run(recover(desk, 0.0))
    assert (desk.book.gaps, keeper.wanted("KO")) == ({}, 90)


@pytest.mark.parametrize(("minutes", "covered"), [(-1, 60), (1, 20)])
def test_an_execution_from_before_the_look_is_what_it_showed(start, broker, minutes, covered):
    """The broker's 60 were told first, the 40 that were sold to get there come later."""
    broker.book("KO", 100, Decimal(50))
    start()
    broker.positions = {"KO": 60}
    desk, keeper = start()
    assert desk.book.gaps == {"KO": -40}
    at = desk.book.gaps_at + timedelta(minutes=minutes)
    desk.take(Fill("x.01", "by hand", "KO", Side.SELL, 40, Decimal(50), at, 7), broker.now)
    assert keeper.wanted("KO") == covered


def test_no_new_exit_where_a_split_is_not_booked(start, broker, ledger):
    """The shares differ by a usual ratio: levels would be at prices of before."""
    broker.book("KO", 90, Decimal(50))
    start()
    broker.positions = {"KO": 180}
    _, keeper = start()
    keeper.keep(broker.now)
    assert broker.sent == []
    (denied,) = {c.check for c in ledger.parents.verdicts("20221229-exit-KO-1") if not c.passed}
    assert denied == "blocked_symbol"


def test_a_stop_that_filled_unseen_is_not_taken_for_cancelled(start, broker):
    """It is gone from the broker with its shares, and its execution is of an earlier day."""
    broker.book("KO", 90, Decimal(50))
    broker.book("PEP", 20, Decimal(50))
    _, keeper = start()
    rest_all(broker, keeper)
    broker.orders = {ref: o for ref, o in broker.orders.items() if o.symbol == "PEP"}
    broker.positions = {"PEP": 20}
    desk, keeper = start()
    keeper.keep(broker.now)
    assert len(broker.sent) == 4, "nothing in place of what has filled"
    states = {e.parent.symbol: e.state for e in desk.resting.values()}
    assert states == {"KO": ParentState.WORKING, "PEP": ParentState.WORKING}
    assert ledger_leaves(desk, "KO") == 90, "still exposed, until a person settles it"


def ledger_leaves(desk, symbol):
    return sum(e.leaves for e in desk.resting.values() if e.parent.symbol == symbol)


@pytest.mark.parametrize(("ratio", "shares", "price"), [(2.0, 180, "25.00"), (0.1, 9, "500.00")])
def test_exits_after_a_split_are_of_its_shares_and_prices(
    start, broker, ledger, ratio, shares, price
):
    broker.book("KO", 90, Decimal(50))
    bought = Fill("e1.01", "", "KO", Side.BUY, 90, Decimal(50), broker.now, 1)
    broker.positions = {}
    start()
    ledger.executions.record(bought, broker.account)
    broker.now += timedelta(days=1)
    broker.positions = {"KO": shares}
    action = CorporateAction("KO", exchange_date(broker.now), ActionKind.SPLIT, ratio)
    assert book_splits(ledger, asyncio.run(broker.collect_evidence()), [action])
    broker.now -= timedelta(days=1)
    ledger.facts.note(broker.now.date(), (replace(FACTS, close=Decimal(price)),), broker.now)
    _, keeper = start()
    levels = keeper._fresh_levels("KO", shares)
    assert levels is not None
    assert levels.stop == Decimal(price) - 3
