"""The kill switch, the account's snapshot and the trading day, against a real gateway."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from models.domain.errors import HaltTrading, InvalidInput, RoboError
from models.domain.sessions import at_exchange_time, exchange_date, next_session, session_on
from tasks.account_snapshot import read_account
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import GatewayUnreachable
from tasks.doctor import Health, check_up
from tasks.gateway_process import (
    close_trading_day,
    ensure_gateway,
    find_gateway,
    move_market_time,
    open_trading_day,
    stop_gateway,
)
from tasks.halting import halt_trading, require_right_account, resume_trading
from tasks.processes import free_port
from tasks.stores import open_ledger as open_ledger_of

pytestmark = pytest.mark.journey


def place(gateway, make_child, *client_ids):
    """Leave one working order of each client behind."""

    async def work():
        for client_id in client_ids:
            async with gateway.orders(client_id) as link:
                await link.qualify(["KO"])
                order_id = link.next_order_id()
                link.send(make_child(order_id, "1.00", tif="GTC"))
                await link.flush()

    asyncio.run(work())


def test_a_halt_cancels_the_orders_of_every_client(gateway, settings, ledger, make_child):
    place(gateway, make_child, 11, 51)
    assert len(read_account(settings).open_orders) == 2
    done = halt_trading(settings, lambda _: ledger, "enough", "tester")
    assert (done.cancelled, done.still_working, done.trouble) == (2, 0, "")
    assert read_account(settings).open_orders == ()
    halt = ledger.halts.current()
    assert (halt.reason, halt.by) == ("enough", "tester")
    again = halt_trading(settings, lambda _: ledger, "once more", "tester")
    assert (again.cancelled, again.trouble) == (0, "")
    assert resume_trading(ledger, "looked at", "tester", []) is True
    assert ledger.halts.current() is None
    assert resume_trading(ledger, "again", "tester", []) is False


def test_a_halt_holds_when_no_gateway_answers(settings, ledger):
    away = settings.model_copy(update={"port": free_port()})
    done = halt_trading(away, lambda _: ledger, "enough", "tester")
    assert "no gateway answers" in done.trouble
    assert ledger.halts.current().reason == "enough"


def test_a_halt_cancels_even_when_it_cannot_be_recorded(gateway, settings, make_child):
    place(gateway, make_child, 11)

    def broken(_settings):
        raise InvalidInput("the ledger is not readable")

    done = halt_trading(settings, broken, "enough", "tester")
    assert (done.cancelled, done.still_working) == (1, 0)
    assert "the halt could NOT be recorded: the ledger is not readable" in done.trouble


def test_a_halt_touches_no_account_of_another_mode(gateway, settings, ledger, make_child):
    place(gateway, make_child, 11)
    paper = settings.model_copy(update={"mode": "paper"})
    done = halt_trading(paper, lambda _: ledger, "enough", "tester")
    assert "mode paper needs an account DU" in done.trouble
    assert len(read_account(settings).open_orders) == 1
    halt_trading(settings, lambda _: ledger, "tidy", "tester")


def test_a_ledger_that_cannot_be_used_does_not_keep_the_orders_alive(
    gateway, settings, make_child, tmp_path
):
    place(gateway, make_child, 11)
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"this is no database" * 100)
    away = settings.model_copy(update={"ledger_url": SecretStr(f"sqlite:///{broken}")})
    done = halt_trading(away, open_ledger_of, "enough", "tester")
    assert (done.cancelled, done.still_working) == (1, 0)
    assert "the halt could NOT be recorded" in done.trouble
    assert "not a usable SQLite file" in done.trouble
    assert read_account(settings).open_orders == ()


def test_a_halt_leaves_the_orders_of_an_account_of_another_mode_alone(
    gateway, settings, ledger, make_child
):
    place(gateway, make_child, 11)
    other = settings.model_copy(update={"mode": "paper"})
    done = halt_trading(other, lambda _: ledger, "enough", "tester")
    assert "could NOT be cancelled" in done.trouble
    assert "mode paper needs an account DU" in done.trouble
    assert len(read_account(settings).open_orders) == 1
    assert ledger.halts.current() is not None
    assert halt_trading(settings, lambda _: ledger, "enough", "tester").cancelled == 1


def test_a_live_account_whose_arming_has_expired_can_still_be_stopped(settings):
    live = {"mode": "live", "allow_live_account": "U1234567", "live_armed_until": None}
    expired = settings.model_copy(update=live)
    require_right_account(expired, "U1234567")
    with pytest.raises(HaltTrading, match="not in ROBO_ALLOW_LIVE_ACCOUNT"):
        require_right_account(expired, "U7654321")


def test_a_halt_whose_effect_cannot_be_read_says_that_it_was_sent(
    gateway, settings, ledger, make_child, monkeypatch
):
    place(gateway, make_child, 11)

    async def unreadable(_connection):
        raise GatewayUnreachable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(OrderConnection, "collect_evidence", unreadable)
        done = halt_trading(settings, lambda _: ledger, "enough", "tester")
    assert done.trouble == (
        "every working order was asked to end, but what became of them is unread: no answer"
    )
    assert read_account(settings).open_orders == ()


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
