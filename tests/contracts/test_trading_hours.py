"""The account's snapshot and the trading day, against a real gateway."""

from datetime import UTC, datetime, timedelta

import pytest

from models.domain.errors import HaltTrading, InvalidInput, RoboError
from models.domain.sessions import at_exchange_time, exchange_date, next_session, session_on
from tasks.books.account_snapshot import read_account
from tasks.processes import free_port
from tasks.services.doctor import Health, check_up
from tasks.services.gateway_process import (
    close_trading_day,
    ensure_gateway,
    find_gateway,
    move_market_time,
    open_trading_day,
    stop_gateway,
)

pytestmark = pytest.mark.journey


def test_an_account_that_the_mode_may_not_trade_is_refused(settings):
    with pytest.raises(HaltTrading, match="mode paper needs an account DU"):
        read_account(settings.model_copy(update={"mode": "paper"}))


def test_a_running_gateway_is_used_and_not_started_again(settings):
    hello = ensure_gateway(settings)
    assert not hello.started_here
    assert (hello.account, hello.seed) == ("SIM0000001", 7)
    assert "simulated" in hello.market
    assert hello.now.tzinfo is not None
    with pytest.raises(InvalidInput, match="belongs to mode simulated, not paper"):
        ensure_gateway(settings.model_copy(update={"mode": "paper"}))


def test_a_port_taken_by_another_program_is_named(gateway, settings):
    lost = settings.model_copy(
        update={"control_port": free_port()}
    )  # its API port is the taken one
    with pytest.raises(InvalidInput, match="the gateway's API needs, is in use.*ROBO_PORT"):
        ensure_gateway(lost)


def test_a_day_that_is_not_over_is_left_as_it_is_and_one_that_is_over_is_passed(settings, gateway):
    now = open_trading_day(settings, gateway.now)
    assert now == gateway.now
    day = session_on(exchange_date(now))
    closed = close_trading_day(settings, now)
    assert closed == day.close + timedelta(minutes=5)
    morning = open_trading_day(settings, closed)
    upcoming = next_session(day.date)
    assert morning == at_exchange_time(upcoming.date, 8) == gateway.now
    assert open_trading_day(settings, morning) == morning


def test_a_weekend_is_passed_too(settings, gateway):
    now = gateway.now
    while exchange_date(now).weekday() != 4:
        now = open_trading_day(settings, close_trading_day(settings, now))
    close_trading_day(settings, now)
    saturday = move_market_time(settings, at_exchange_time(exchange_date(now), 12) + timedelta(1))
    assert exchange_date(saturday).weekday() == 5
    assert close_trading_day(settings, saturday) == saturday, "no session, nothing to close"
    monday = open_trading_day(settings, saturday)
    assert monday == at_exchange_time(next_session(exchange_date(saturday)).date, 8)


def test_market_time_does_not_go_back(settings, gateway):
    with pytest.raises((InvalidInput, RoboError), match="cannot go back"):
        gateway.ask("advance", to=datetime(2020, 1, 2, tzinfo=UTC).isoformat())


def test_the_check_up_sees_the_gateway(gateway, settings, monkeypatch):
    monkeypatch.setenv("ROBO_HOME", str(settings.home))
    monkeypatch.setenv("ROBO_PORT", str(settings.port))
    monkeypatch.setenv("ROBO_CONTROL_PORT", str(settings.control_port))
    monkeypatch.setenv("ROBO_PREFECT_PORT", str(free_port()))
    found = {finding.subject: finding for finding in check_up()}
    assert (found["gateway"].health, found["gateway"].seen) == (
        Health.OK,
        "account SI******01 answers",
    )
    monkeypatch.setenv("ROBO_ACCOUNT", "SIM9999999")
    found = {finding.subject: finding for finding in check_up()}
    assert found["gateway"].health is Health.BROKEN
    assert "ROBO_ACCOUNT" in found["gateway"].seen


def test_a_stopped_gateway_is_no_longer_found(start_gateway):
    own = start_gateway("stopping")
    assert find_gateway(own.settings) is not None
    own.stop()
    assert find_gateway(own.settings) is None
    stop_gateway(own.settings)  # one that is gone is left in peace
