"""The watchdog against a real gateway: a session that is gone without a word leaves no order."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Event, Thread

import pytest

from models.domain.errors import RoboError
from models.domain.orders import ParentOrder, ParentState, Side
from tasks.books.account_snapshot import read_account
from tasks.broker.protocol import GatewayUnreachable
from tasks.halts.halting import HaltOrder, halt_trading
from tasks.machine import machine
from tasks.processes import free_port
from tasks.session import sessions
from tasks.session.watching import look_once, lost_session, watch_session

pytestmark = pytest.mark.journey


@pytest.fixture
def dead_pid():
    """The id of a process that has been."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def place(gateway, make_child, *client_ids):
    async def work():
        for client_id in client_ids:
            async with gateway.orders(client_id) as link:
                await link.qualify(["KO"])
                link.send(make_child(link.next_order_id(), "1.00", tif="GTC"))
                await link.flush()

    asyncio.run(work())


def rest_an_exit(gateway, ledger, make_child):
    """Leave a committed exit of a short position at the broker; return its name."""
    now = gateway.now
    order = ParentOrder(
        "20240102-exit-KO-1", date(2024, 1, 2), "exits", "KO", Side.BUY, 10, "EXIT", now,
        now + timedelta(days=90), Decimal(1), now, "exit-rules/BULL",
    )  # fmt: skip
    ledger.parents.add([order])

    async def work():
        async with gateway.orders(11) as link:
            await link.qualify(["KO"])
            child = make_child(None, "1.00", tif="GTC", parent_id=order.parent_id)
            new = link.next_order_id()
            sent = ledger.children.commit_intent(child, 11, link.account, next_valid_id=new, at=now)
            link.send(sent)
            await link.flush()
            return sent.order_ref

    return asyncio.run(work())


def leave_lease(ledger, pid, host, ttl=60.0, now=None):
    at = now or datetime.now(UTC)
    return ledger.leases.acquire("trading-simulated", "s", pid=pid, host=host, ttl=ttl, now=at)


def clients_at_work(settings):
    return sorted(order.client_id for order in read_account(settings).open_orders)


def test_a_killed_session_has_its_own_orders_ended(gateway, settings, ledger, make_child, dead_pid):
    assert look_once(settings).text == "watching: no session is lost"
    place(gateway, make_child, 11, 51)
    leave_lease(ledger, dead_pid, machine())
    seen = look_once(settings)
    assert (seen.cancelled, seen.still_working) == (1, 0)
    assert str(dead_pid) in seen.lost
    assert clients_at_work(settings) == [51], "what others placed is left alone"
    [line] = (settings.state_dir / "alerts.jsonl").read_text().splitlines()
    assert json.loads(line)["subject"] == "a session was lost"
    assert look_once(settings).text == "watching: no session is lost"
    place(gateway, make_child, 11)
    assert next(watch_session(settings, 0.1, once=True)).lost == ""
    assert clients_at_work(settings) == [11, 51], "an orderly end is no loss"
    halt_trading(settings, HaltOrder("tidy", "tester"))


def test_the_exits_of_a_killed_session_go_on_protecting(
    gateway, settings, ledger, make_child, dead_pid
):
    """A stop that rests at the broker is worth most when nobody is at work."""
    place(gateway, make_child, 11)
    stop = rest_an_exit(gateway, ledger, make_child)
    leave_lease(ledger, dead_pid, machine())
    seen = look_once(settings)
    assert (seen.cancelled, seen.still_working) == (1, 0)
    assert "1 resting exits left to protect what is held" in seen.text
    assert [order.order_ref for order in read_account(settings).open_orders] == [stop]
    halt_trading(settings, HaltOrder("tidy", "tester"))


def test_a_slow_session_of_this_machine_is_not_lost_one_that_hangs_is(settings, ledger):
    """Its process lives; the lease has expired all the same."""
    here, now = machine(), datetime.now(UTC)
    slow = leave_lease(ledger, os.getpid(), here, ttl=0.0)
    assert lost_session(ledger, settings) is None
    ledger.leases.release(slow)
    hangs = leave_lease(ledger, os.getpid(), here, ttl=-6 * settings.lease_ttl, now=now)
    assert lost_session(ledger, settings).token == hangs.token
    ledger.leases.release(hangs)
    reused = leave_lease(ledger, os.getpid(), here, ttl=86_400, now=now - timedelta(hours=12))
    assert lost_session(ledger, settings).token == reused.token, "the id is another process's now"
    ledger.leases.release(reused)


def test_a_recovery_that_outlasts_the_lease_keeps_it(
    gateway, settings, ledger, make_span, make_parent, execute, monkeypatch
):
    quick = settings.model_copy(update={"lease_ttl": 0.9, "slices": 1})
    span = make_span(gateway, 9)
    parent = make_parent(span, "PEP", quantity=30)
    ledger.parents.add([parent])
    real = sessions.recover

    async def slow(desk, quiet):
        await asyncio.sleep(1.4)
        return await real(desk, quiet)

    monkeypatch.setattr(sessions, "recover", slow)
    stop, seen = Event(), []

    def watch():
        while not stop.wait(0.1):
            with suppress(RoboError):
                seen.append(look_once(quick).lost)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        execute(quick, ledger)
    finally:
        stop.set()
        watcher.join()
    assert ledger.parents.get(parent.parent_id).state is ParentState.FILLED
    assert set(seen) == {""}


def test_a_session_of_another_machine_is_lost_once_its_lease_has_expired(settings, ledger):
    leave_lease(ledger, 1, "elsewhere")
    assert look_once(settings).lost == ""
    early = datetime.now(UTC) - timedelta(minutes=5)
    ledger.leases.release(leave_lease(ledger, 1, "elsewhere"))
    leave_lease(ledger, 2, "elsewhere", now=early)
    seen = look_once(settings)
    assert "pid 2 on elsewhere" in seen.lost
    assert look_once(settings).lost == ""


def test_without_a_gateway_the_loss_is_found_again(settings, ledger, dead_pid):
    leave_lease(ledger, dead_pid, machine())
    away = settings.model_copy(update={"port": free_port()})
    with pytest.raises(GatewayUnreachable):
        look_once(away)
    assert "cannot look: no gateway answers" in next(watch_session(away, 0.1, once=True)).text
    assert look_once(settings).lost != ""


def test_orders_that_are_meant_to_stay_stay(gateway, settings, ledger, make_child, dead_pid):
    place(gateway, make_child, 11)
    leave_lease(ledger, dead_pid, machine())
    seen = look_once(settings.model_copy(update={"on_stop": "leave"}))
    assert "left working" in seen.text
    assert 11 in clients_at_work(settings)
    assert look_once(settings).lost == ""
    halt_trading(settings, HaltOrder("tidy", "tester"))
