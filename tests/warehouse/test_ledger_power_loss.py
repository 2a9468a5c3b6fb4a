"""A power loss drops what was not yet synced: no order that was sent is ever unknown.

The model: `synced[k]` bytes of the log are on the disk when intent k+1's transaction has returned,
and only then is the order sent. Of whatever was written after that, any part may be missing.
"""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from parent_orders import parent_order

from models.domain.orders import ChildOrder, Side
from warehouse.ledger import OrderLedger

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
INTENTS = 60
CUTS = 1_200
SECTOR = 512


@dataclass
class Recording:
    """The files of a session at work, and how much of the log was synced before each send."""

    database: bytes
    log: bytes
    checkpointed: bytes
    synced: list[int]
    sent: list[str]  # what the gateway knows, in order


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("power") / "ledger.sqlite"
    log = path.with_name("ledger.sqlite-wal")
    at = NOW.replace(hour=20)
    parent = parent_order(NOW, parent_id="p", quantity=10_000, end=at)
    synced, sent = [], []
    with OrderLedger(f"sqlite:///{path}") as ledger:
        ledger.parents.add([parent])
        with closing(sqlite3.connect(path)) as outside:
            outside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(INTENTS):
            child = ChildOrder("p", number, 1, "KO", Side.BUY, 10, Decimal(51), "IOC")
            ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=NOW)
            synced.append(log.stat().st_size)
            sent.append(child.order_ref)
        database, written = path.read_bytes(), log.read_bytes()
        with closing(sqlite3.connect(path)) as outside:
            outside.execute("PRAGMA wal_checkpoint(PASSIVE)")
        checkpointed = path.read_bytes()
    assert synced == sorted(synced) and synced[0] > 0 and checkpointed != database
    return Recording(database, written, checkpointed, synced, sent)


def stored_refs(folder: Path, database: bytes, log: bytes) -> list[str]:
    """Return the intents of a ledger that starts from these two files."""
    path = folder / "ledger.sqlite"
    if not path.exists() or path.read_bytes() != database:
        path.write_bytes(database)
    path.with_name("ledger.sqlite-wal").write_bytes(log)
    path.with_name("ledger.sqlite-shm").unlink(missing_ok=True)
    # Read-only: the log is replayed all the same, and closing does not write it back.
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT order_ref FROM children ORDER BY slice_no").fetchall()
        if len(rows) % 8 == 0:
            assert connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    return [row[0] for row in rows]


def test_every_connection_of_a_ledger_syncs_each_commit(tmp_path: Path) -> None:
    with OrderLedger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        with ledger._store.write() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous")
            ]
    assert pragmas == ["wal", 2]


def test_no_cut_forgets_an_order_that_was_sent(recording: Recording, tmp_path: Path) -> None:
    rng = random.Random(7)
    lost_tail = 0
    for _ in range(CUTS):
        last = rng.randrange(INTENTS)  # this intent's order is the last one at the gateway
        floor = recording.synced[last]
        ceiling = recording.synced[min(last + 1, INTENTS - 1)]
        cut = rng.randint(floor, ceiling)
        log = bytearray(recording.log[:cut])
        if cut > floor and rng.random() < 0.5:  # sectors reach the disk in any order
            hole = rng.randrange(floor, cut)
            log[hole : hole + SECTOR] = bytes(min(SECTOR, cut - hole))
        stored = stored_refs(tmp_path, recording.database, bytes(log))
        assert stored in (recording.sent[: last + 1], recording.sent[: last + 2])
        lost_tail += len(stored) == last + 1
    assert 0 < lost_tail <= CUTS


def test_a_torn_checkpoint_forgets_nothing(recording: Recording, tmp_path: Path) -> None:
    rng = random.Random(8)
    before = recording.database.ljust(len(recording.checkpointed), b"\0")
    for _ in range(200):
        torn = bytearray(before)
        for start in range(0, len(torn), SECTOR):
            if rng.random() < 0.5:
                torn[start : start + SECTOR] = recording.checkpointed[start : start + SECTOR]
        assert stored_refs(tmp_path, bytes(torn), recording.log) == recording.sent


def test_a_ledger_opens_on_a_torn_log_and_finds_itself_whole(
    recording: Recording, tmp_path: Path, make_child: Callable[..., ChildOrder]
) -> None:
    rng = random.Random(9)
    for number in range(20):
        last = rng.randrange(INTENTS - 1)
        cut = rng.randint(recording.synced[last], recording.synced[last + 1] - 1)
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "ledger.sqlite").write_bytes(recording.database)
        (folder / "ledger.sqlite-wal").write_bytes(recording.log[:cut])
        with OrderLedger(f"sqlite:///{folder}/ledger.sqlite") as ledger:
            refs = [child.order_ref for child in ledger.children.of_parent("p")]
            assert refs == recording.sent[: last + 1]
            assert ledger.audit("").contradictions == ()
            # The id that may have been under way is given to the same slice again, never another.
            child = make_child(last + 1, parent_id="p", symbol="KO")
            again = ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=NOW)
            assert again.order_id == last + 2
