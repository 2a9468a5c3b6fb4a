"""Damaged, full, read-only and contended ledgers: a clear error, and nothing that could be sent."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput, RoboError
from models.domain.orders import ChildOrder, ParentOrder
from warehouse.ledger import OrderLedger
from warehouse.ledger.wal import find_damage

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def crashed(
    tmp_path: Path, make_parent: Callable[..., ParentOrder], make_child: Callable[..., ChildOrder]
) -> Path:
    """The files of a ledger whose process was killed: 30 intents are in its log only."""
    path = tmp_path / "live" / "ledger.sqlite"
    ledger = OrderLedger(url(path))
    ledger.parents.add([make_parent(quantity=10_000)])
    with closing(sqlite3.connect(path)) as outside:
        outside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(30):
        ledger.children.commit_intent(make_child(number), 11, "SIM1", next_valid_id=1, at=NOW)
    copy = tmp_path / "ledger.sqlite"
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        copy.with_name(copy.name + suffix).write_bytes(source.read_bytes())
    ledger.close()
    return copy


def spoil(path: Path, start: int, size: int = 64) -> None:
    content = bytearray(path.read_bytes())
    content[start : start + size] = bytes(b ^ 0x5A for b in content[start : start + size])
    path.write_bytes(content)


def test_the_log_of_a_crash_is_replayed(crashed: Path) -> None:
    with OrderLedger(url(crashed)) as ledger:
        assert len(ledger.children.of_parent("20240102-ml-AAPL")) == 30


@pytest.mark.parametrize("where", [0, 8, 40, 60, 5_000, 20_000, 60_000])
def test_a_log_damaged_in_the_middle_is_refused_and_left_as_it_is(
    crashed: Path, where: int
) -> None:
    log = crashed.with_name("ledger.sqlite-wal")
    spoil(log, where)
    before = (crashed.read_bytes(), log.read_bytes())
    for _ in range(2):  # and again: looking at it must not make it worse
        with pytest.raises(
            InvalidInput, match=r"damaged at frame .*send no order.*restore"
        ) as told:
            OrderLedger(url(crashed))
        assert str(log) in str(told.value)
    assert (crashed.read_bytes(), log.read_bytes()) == before


def test_the_torn_end_of_a_log_is_no_damage(crashed: Path) -> None:
    log = crashed.with_name("ledger.sqlite-wal").read_bytes()
    assert find_damage(log) is None
    step = 24 + 4096
    for cut in range(len(log) - step + 1, len(log), 97):
        assert find_damage(log[:cut]) is None
    for size in (0, 10, 32, 40, 55):
        assert find_damage(log[:size]) is None


@pytest.mark.parametrize("table", ["parents", "children", "executions", "chain", "broker_events"])
def test_a_damaged_page_of_any_table_is_found_and_explained(
    tmp_path: Path, table: str, make_parent: Callable[..., ParentOrder]
) -> None:
    path = tmp_path / "ledger.sqlite"
    with OrderLedger(url(path)) as ledger:
        ledger.parents.add([make_parent()])
    with closing(sqlite3.connect(path)) as raw:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        page = raw.execute(query, [table]).fetchone()[0]
    spoil(path, (page - 1) * 4096, 4096)
    with pytest.raises(InvalidInput, match=r"not a usable SQLite file.*robo ledger restore"):
        with OrderLedger(url(path)) as ledger:
            ledger.audit("")


@pytest.mark.parametrize("size", [1, 100, 1000, 5000])
def test_a_cut_file_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "ledger.sqlite"
    OrderLedger(url(path)).close()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InvalidInput, match="robo ledger restore"):
        with OrderLedger(url(path)) as ledger:
            ledger.audit("")


FILL_UP = """
import json, resource, signal, sys
from datetime import UTC, datetime
from models.domain.errors import RoboError
from models.domain.orders import ChildOrder, Side
from warehouse.ledger import OrderLedger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = OrderLedger(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
now = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
sent, error = [], None
while error is None:
    child = ChildOrder("20240102-ml-AAPL", len(sent), 1, "AAPL", Side.BUY, 1, None, "DAY")
    try:
        child = ledger.children.commit_intent(child, 11, "S", next_valid_id=1, at=now)
        sent.append(child.order_ref)
    except RoboError as caught:
        error = [type(caught).__name__, str(caught)]
print(json.dumps([sent, error]))
"""


def test_a_full_disk_stops_trading_and_keeps_what_was_committed(
    tmp_path: Path, make_parent: Callable[..., ParentOrder]
) -> None:
    path = tmp_path / "ledger.sqlite"
    with OrderLedger(url(path)) as ledger:
        ledger.parents.add([make_parent(quantity=100_000)])
    done = subprocess.run(
        [sys.executable, "-c", FILL_UP, url(path), "600000"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    sent, (kind, says) = json.loads(done.stdout)
    assert kind == "HaltTrading" and "free space" in says and "no order is sent without" in says
    with OrderLedger(url(path)) as ledger:
        stored = [child.order_ref for child in ledger.children.of_parent("20240102-ml-AAPL")]
        assert stored == sent and len(sent) > 5
        assert ledger.audit("").contradictions == ()


AS_ANOTHER = """
import os, sys
from datetime import UTC, datetime
from warehouse.ledger import OrderLedger
def halt(url):
    with OrderLedger(url) as ledger:
        ledger.halts.halt("x", "y", datetime.now(UTC))
halt(sys.argv[1])  # imports all that it takes
if os.geteuid() == 0:  # root may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    halt(sys.argv[2])
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("read_only", "hidden"), [("folder", 3), ("file", 3), ("file", 0)], ids=str
)
def test_a_place_that_may_not_be_written_is_named(
    tmp_path: Path, read_only: str, hidden: int
) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "var" / "ledger.sqlite"
    OrderLedger(url(path)).close()
    path.chmod(0o444)
    if read_only == "folder":
        path.parent.chmod(0o555)
    for folder in (tmp_path, *tmp_path.parents[:hidden]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, url(tmp_path / "own.sqlite"), url(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    path.parent.chmod(0o755)
    assert done.stdout.startswith("InvalidInput"), done.stderr
    assert "make the file and its folder writable" in done.stdout


def test_a_clock_that_goes_back_changes_no_order_of_events(
    ledger: OrderLedger, commit: Callable[..., ChildOrder], make_fill
) -> None:
    commit(0, 30)
    for number, minutes in enumerate((0, -90, 30, -600)):
        at = NOW + timedelta(minutes=minutes)
        ledger.events.append("order_status", "20240102-ml-AAPL.0.1", {"number": number}, at)
        ledger.executions.record(make_fill(f"{number}.aa.01", 5, at=at), "SIM1")
    kept = ledger.events.of_order("20240102-ml-AAPL.0.1")
    assert [event.payload["number"] for event in kept] == [0, 1, 2, 3]
    assert [event.id for event in kept] == sorted(event.id for event in kept)
    first = ledger.leases.acquire("trading", "me", pid=1, host="h", ttl=60, now=NOW)
    with pytest.raises(RoboError, match="held by me"):  # an earlier now expires nothing
        ledger.leases.acquire(
            "trading", "you", pid=2, host="h", ttl=60, now=NOW - timedelta(days=1)
        )
    assert ledger.leases.renew(first, NOW - timedelta(minutes=5)).token == first.token
    assert ledger.audit("").contradictions == ()
