"""First use, newer schemas, and places that cannot hold a ledger."""

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer

import pytest

from models.domain.errors import InvalidInput, RetryLater
from warehouse.ledger import OrderLedger, connection
from warehouse.ledger.connection import MIGRATIONS, LedgerStore
from warehouse.versions import load_migrations

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
NEWEST = len(load_migrations(MIGRATIONS))


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_first_use_makes_folder_file_and_schema(tmp_path: Path) -> None:
    path = tmp_path / "var" / "simulated" / "ledger.sqlite"
    OrderLedger(url(path)).close()
    with OrderLedger(url(path)) as ledger:
        assert ledger.place == str(path)
        assert ledger.check() == []
    with sqlite3.connect(path) as outside:
        found = outside.execute("SELECT version FROM schema_migrations ORDER BY version").fetchall()
        assert found == [(number,) for number in range(1, NEWEST + 1)]
        assert outside.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    outside.close()


def test_every_connection_is_durable_and_checks_references(tmp_path: Path) -> None:
    store = LedgerStore(url(tmp_path / "ledger.sqlite"), deadline=7)
    with store.write() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("synchronous", "foreign_keys", "busy_timeout")
        ]
    store.close()
    assert pragmas == [2, 1, 7000]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    OrderLedger(url(path)).close()
    with sqlite3.connect(path) as outside:
        outside.execute(
            "INSERT INTO schema_migrations VALUES (?, 'later', 'x', 'y')", (NEWEST + 1,)
        )
    outside.close()
    with pytest.raises(InvalidInput, match=f"schema {NEWEST + 1}.*knows {NEWEST}"):
        OrderLedger(url(path))


def test_an_edited_step_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    OrderLedger(url(path)).close()
    with sqlite3.connect(path) as outside:
        outside.execute("UPDATE schema_migrations SET checksum = 'x'")
    outside.close()
    with pytest.raises(InvalidInput, match="0001_order_ledger in another form"):
        OrderLedger(url(path))


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a folder"):
        OrderLedger(url(tmp_path))


def test_a_file_cannot_be_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="cannot be made"):
        OrderLedger(url(tmp_path / "file" / "ledger.sqlite"))


def test_a_place_that_takes_no_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be opened for writing"):
        OrderLedger("sqlite:////proc/self/ledger.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidInput, match="make the file and its folder writable"):
        OrderLedger(url(tmp_path / "ledger.sqlite"))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is no database " * 500)
    with pytest.raises(InvalidInput, match=r"not a usable SQLite file.*restore a backup"):
        OrderLedger(url(path))
    assert path.read_bytes().startswith(b"this is no database")


@pytest.mark.parametrize("size", [0, 300])
def test_a_file_that_was_cut_is_no_new_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """SQLite would start anew in it: halts and orders would be forgotten without a word."""
    monkeypatch.setattr(connection, "MAKING", 0.1)
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"S" * size)
    with pytest.raises(InvalidInput, match=rf"cut to {size} bytes.*robo ledger restore"):
        OrderLedger(url(path))
    assert path.stat().st_size == size


def test_a_file_that_another_process_is_making_is_waited_for(tmp_path: Path) -> None:
    path, made = tmp_path / "ledger.sqlite", tmp_path / "made.sqlite"
    with OrderLedger(url(made)) as ledger:
        ledger.halts.halt("theirs", "tester", NOW)
    path.touch()
    Timer(0.2, made.replace, [path]).start()
    with OrderLedger(url(path)) as ledger:
        assert [halt.reason for halt in ledger.halts.in_force()] == ["theirs"]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    OrderLedger(url(path)).close()
    content = bytearray(path.read_bytes())
    content[100:3000] = b"\xff" * 2900
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="restore a backup"):
        OrderLedger(url(path))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("nonsense", "no database URL"),
        ("sqlite://", "must outlive"),
        ("sqlite:///:memory:", "must outlive"),
        ("mysql://u:secret@h/d", "use sqlite or postgresql"),
        ("postgresql+nodriver://u:secret@h/d", "driver"),
        ("postgresql+asyncpg://u:secret@h/d", "asyncio driver"),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(wrong: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        OrderLedger(wrong)
    assert "secret" not in str(caught.value)


def test_a_locked_file_is_waited_for_then_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = OrderLedger(url(path), deadline=0.2)
    outside = sqlite3.connect(path, isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    with pytest.raises(RetryLater, match="locked by another process"):
        ledger.halts.halt("x", "y", NOW)
    assert ledger.halts.current() is None  # readers go on
    outside.execute("COMMIT")
    outside.close()
    assert ledger.halts.halt("x", "y", NOW).reason == "x"
    ledger.close()


def test_a_file_locked_before_first_use_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    outside = sqlite3.connect(path, isolation_level=None)
    outside.execute("PRAGMA user_version = 1")  # the first page
    outside.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RetryLater):
        OrderLedger(url(path), deadline=0.2)
    outside.close()
    OrderLedger(url(path), deadline=0.2).close()


def test_first_use_by_many_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from warehouse.ledger import OrderLedger\n"
        "sys.stdin.readline()\n"
        "with OrderLedger(sys.argv[1]) as ledger: print(ledger.check())"
    )
    command = [sys.executable, "-c", code, url(tmp_path / "ledger.sqlite")]
    workers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [worker.communicate("go\n", timeout=60) for worker in workers]
    assert [out.strip() for out, _ in answers] == ["[]"] * 4, answers
