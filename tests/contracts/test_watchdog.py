"""The watchdog against a real gateway: a session that is gone without a word leaves no order."""

import asyncio
import json
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tasks.account_snapshot import read_account
from tasks.broker.protocol import GatewayUnreachable
from tasks.halting import HaltOrder, halt_trading
from tasks.processes import free_port
from tasks.watching import look_once, watch_session

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


def leave_lease(ledger, pid, host, ttl=60.0, now=None):
    at = now or datetime.now(UTC)
    return ledger.leases.acquire("trading-simulated", "s", pid=pid, host=host, ttl=ttl, now=at)


def clients_at_work(settings):
    return sorted(order.client_id for order in read_account(settings).open_orders)


def test_a_killed_session_has_its_own_orders_ended(gateway, settings, ledger, make_child, dead_pid):
    assert look_once(settings).text == "watching: no session is lost"
    place(gateway, make_child, 11, 51)
    leave_lease(ledger, dead_pid, socket.gethostname())
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
    leave_lease(ledger, dead_pid, socket.gethostname())
    away = settings.model_copy(update={"port": free_port()})
    with pytest.raises(GatewayUnreachable):
        look_once(away)
    assert "cannot look: no gateway answers" in next(watch_session(away, 0.1, once=True)).text
    assert look_once(settings).lost != ""


def test_orders_that_are_meant_to_stay_stay(gateway, settings, ledger, make_child, dead_pid):
    place(gateway, make_child, 11)
    leave_lease(ledger, dead_pid, socket.gethostname())
    seen = look_once(settings.model_copy(update={"on_stop": "leave"}))
    assert "left working" in seen.text
    assert 11 in clients_at_work(settings)
    assert look_once(settings).lost == ""
    halt_trading(settings, HaltOrder("tidy", "tester"))
