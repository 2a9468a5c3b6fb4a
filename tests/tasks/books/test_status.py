"""The state of everything in one look, with no gateway up."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from parent_orders import parent_order

from models.domain.orders import Fill, ParentState, Side
from tasks.alerts import Alert, raise_alert
from tasks.books.status import read_status
from tasks.machine import machine

NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)
ACCOUNT = "SIM0000001"


def test_an_empty_ledger_knows_nothing_and_says_so(settings, ledger):
    found = read_status(settings, ledger)
    assert (found.account, found.halt, found.session_at_work, found.last_session) == (
        "",
        "",
        "",
        None,
    )
    assert found.cash is None
    assert found.net_liquidation is None
    assert found.positions == {}
    assert found.parents == {}


def test_everything_that_is_known_is_shown(settings, ledger):
    ledger.accounts.record_opening(ACCOUNT, Decimal(1000), {"KO": 2}, NOW)
    ledger.executions.record(
        Fill("e.01", "", "KO", Side.BUY, 3, Decimal(50), NOW, 5, Decimal(1)), ACCOUNT
    )
    ledger.accounts.record_snapshot(ACCOUNT, NOW, Decimal(1), Decimal(1100), "before")
    later = NOW + timedelta(hours=1)
    ledger.accounts.record_snapshot(ACCOUNT, later, Decimal(1), Decimal(1200), "after")
    parents = [parent_order(NOW, symbol) for symbol in ("KO", "PEP", "XOM")]
    ledger.parents.add(parents)
    ledger.parents.set_state("p-KO", ParentState.FILLED, "done")
    ledger.halts.halt("enough", "tester", NOW)
    ledger.halts.halt("news", "tester", NOW, symbol="KO")
    ledger.disablements.disable(
        "symbol", "PEP", reason="odd fills", by="tester", at=NOW, session=NOW.date()
    )
    ledger.leases.acquire("trading-simulated", "x", pid=7, host="h", ttl=60, now=datetime.now(UTC))
    raise_alert(settings.state_dir / "alerts.jsonl", Alert(NOW, "error", "s", "t"))
    found = read_status(settings, ledger)
    assert (found.mode, found.account) == ("simulated", ACCOUNT)
    assert found.halt == "by tester at 2022-12-29 15:00 UTC: enough"
    assert found.halts == (
        "everything, by tester at 2022-12-29 15:00 UTC: enough",
        "KO, by tester at 2022-12-29 15:00 UTC: news",
    )
    assert found.disabled == ("symbol PEP, by tester at 2022-12-29 15:00 UTC: odd fills",)
    assert found.session_at_work == "trading-simulated (pid 7)"
    assert found.parents == {"FILLED": 1, "NEW": 2}
    assert found.positions == {"KO": 5}
    assert found.cash == Decimal(849)
    assert (found.net_liquidation, found.as_of) == (Decimal(1200), later)
    assert [a.subject for a in found.alerts] == ["s"]


def test_a_session_whose_process_is_gone_is_called_lost(settings, ledger):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (gone.pid, os.getpid()):
        taken = {"pid": pid, "host": machine(), "ttl": 60, "now": datetime.now(UTC)}
        held = ledger.leases.acquire("trading-simulated", "x", **taken)
        found = read_status(settings, ledger).session_at_work
        assert ("LOST" in found) is (pid != os.getpid())
        ledger.leases.release(held)
