"""Positions that have lost step with their exits are seen from the ledger alone."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.regimes import Regime
from models.risk.exits import ExitRules
from models.risk.limits import RiskLimits
from tasks.session.exit_gaps import exits_out_of_step
from tasks.session.exits import ExitKeeper
from tasks.session.recovery import recover
from warehouse.ledger.symbol_facts import SymbolFacts

RESTING = RiskLimits(exits=ExitRules(mode="resting"))
FACTS = SymbolFacts("KO", Decimal("50.00"), 1e7, 1.0, Regime.BULL)


@pytest.fixture
def keeper(start_desk, ledger, broker, minute):
    """An account that holds 90 KO, with no exit yet."""
    broker.book("KO", 90, Decimal(50))
    ledger.facts.note(minute(0).date(), (FACTS,), minute(0))
    minute(1)
    desk = start_desk(limits=RESTING)
    asyncio.run(recover(desk, 0.0))
    return ExitKeeper(desk)


@pytest.fixture
def gaps(keeper, ledger, broker):
    """Ask, by default, in the middle of the session."""

    def ask(limits=RESTING, now=None):
        return exits_out_of_step(ledger, limits, keeper.desk.session, now or broker.now)

    return ask


def place(keeper, broker):
    keeper.keep(broker.now)
    keeper.desk.pump(broker.now)


def show(keeper):
    """Let the ledger take what the broker shows."""
    asyncio.run(recover(keeper.desk, 0.0))


def test_a_position_without_its_pair_is_out_of_step_until_the_broker_has_shown_both(
    keeper, gaps, broker
):
    assert gaps() == ("KO",)
    place(keeper, broker)
    assert gaps() == ("KO",), "sent is not shown"
    show(keeper)
    assert gaps() == ()


def test_an_order_that_ended_or_a_position_that_moved_is_out_of_step(keeper, gaps, broker):
    place(keeper, broker)
    show(keeper)
    stop, target = broker.sent
    broker.tell(target.order_ref, "Submitted")
    fill = broker.execute(stop.order_ref, 40, "0001.aa.01", "47.00")
    broker.events.append(fill)
    show(keeper)
    assert gaps() == (), "the group protects what is left"
    broker.tell(target.order_ref, "Cancelled")
    show(keeper)
    assert gaps() == ("KO",)


def test_what_no_session_could_mend_makes_none_start(keeper, gaps, ledger, minute):
    day = keeper.desk.session
    assert gaps(now=day.open - timedelta(minutes=1)) == ()
    assert gaps(now=day.close) == ()
    assert gaps(limits=RiskLimits()) == (), "exits are off and none is left"
    assert gaps(limits=replace(RESTING, exits=ExitRules(mode="monitored"))) == ()
    ledger.facts.note(day.date, (replace(FACTS, atr=None, regime=None),), minute(2))
    assert gaps() == (), "no true range, no levels"


def test_exits_that_are_left_once_they_were_turned_off_are_out_of_step(keeper, gaps, broker):
    place(keeper, broker)
    show(keeper)
    assert gaps(limits=RiskLimits()) == ("KO",)
