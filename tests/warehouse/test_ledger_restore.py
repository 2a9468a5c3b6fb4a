"""A restored ledger is the backup, halted; what was there before is kept."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from models.domain.errors import HaltTrading, InvalidInput, RetryLater
from models.domain.orders import ChildOrder
from warehouse.ledger import OrderLedger
from warehouse.ledger import restore as restoring
from warehouse.ledger.restore import Restored, RestoreOrder, restore_backup

NOW = datetime(2024, 1, 2, 22, 0, tzinfo=UTC)


def quiet(_: str) -> None:
    """Take a line of progress and show it to nobody."""


def restore(url: str, source: Path, *, force: bool = False, alive: bool = True) -> Restored:
    order = RestoreOrder(source, "tester", NOW, force, "here", lambda _: alive)
    return restore_backup(url, order, quiet)


@pytest.fixture
def backup(filled: OrderLedger, tmp_path: Path) -> Path:
    """A backup of the filled ledger, which is closed then."""
    path = tmp_path / "backup.sqlite"
    filled.backup(path, NOW, quiet)
    filled.close()
    return path


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            table: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]
            for table in ("parents", "children", "executions", "commissions", "accounts")
        }
    engine.dispose()
    return found


def test_a_backup_goes_where_no_ledger_is(backup: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'ledger.sqlite'}"
    before = backup.read_bytes()
    done = restore(url, backup)
    assert (done.aside, backup.read_bytes() == before) == ("", True)
    assert content(url) == content(f"sqlite:///{backup}")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["ledger.sqlite"]
    with OrderLedger(url) as ledger:
        assert ledger.audit("SIM1").contradictions == ()


def test_a_restored_ledger_sends_nothing_until_a_person_resumes(
    backup: Path, ledger_url: str, make_child: Callable[..., ChildOrder]
) -> None:
    restore(ledger_url, backup, force=True)
    with OrderLedger(ledger_url) as ledger:
        with pytest.raises(HaltTrading, match=r"restored from backup\.sqlite.*robo reconcile"):
            ledger.children.commit_intent(make_child(1), 11, "SIM1", next_valid_id=1, at=NOW)
        ledger.halts.resume("compared with the statement", "tester", NOW)
        child = ledger.children.commit_intent(make_child(1), 11, "SIM1", next_valid_id=1, at=NOW)
        assert child.order_id == 2  # the ids of the backup are not given again


def test_a_present_ledger_is_replaced_by_force_only_and_kept(
    backup: Path, ledger_url: str, ledger: OrderLedger
) -> None:
    ledger.events.append("later", "", {}, NOW)
    ledger.close()
    with pytest.raises(InvalidInput, match=r"holds a ledger.*--force"):
        restore(ledger_url, backup)
    done = restore(ledger_url, backup, force=True)
    assert content(ledger_url) == content(f"sqlite:///{backup}")
    with OrderLedger(f"sqlite:///{done.aside}") as aside:
        assert [event.kind for event in aside.events.since()][-1] == "later"
        assert aside.check() == []


def test_a_living_session_is_not_robbed_of_its_ledger(
    backup: Path, ledger_url: str, ledger: OrderLedger
) -> None:
    lease = ledger.leases.acquire("trading", "a session", pid=7, host="here", ttl=60, now=NOW)
    ledger.close()
    with pytest.raises(RetryLater, match=r"held by a session \(pid 7 on here\).*nothing was"):
        restore(ledger_url, backup, force=True)
    with OrderLedger(ledger_url) as again:
        assert again.halts.current() is None
        assert again.leases.renew(lease, NOW + timedelta(seconds=1)).token == 1
    done = restore(ledger_url, backup, force=True, alive=False)  # it has died without a word
    assert done.aside


def test_a_process_that_has_the_file_open_is_waited_for(
    backup: Path, tmp_path: Path, make_child: Callable[..., ChildOrder]
) -> None:
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    with OrderLedger(url) as user:
        user.halts.current()  # its connection stays open
        with pytest.raises(RetryLater, match=r"another process has .* open.*nothing was changed"):
            restore(url, backup, force=True)
        with pytest.raises(HaltTrading):  # and whatever it is, it sends nothing any more
            user.children.commit_intent(make_child(), 11, "SIM1", next_valid_id=1, at=NOW)
    restore(url, backup, force=True)
    assert content(url) == content(f"sqlite:///{backup}")
    assert not list(tmp_path.glob(".other*"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.unlink(), "there is no backup"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4096]), "SHA-256 differs"),
        (lambda path: without_note(path).write_bytes(b"x" * 9000), "no usable ledger file"),
        (lambda path: without_note(path).write_bytes(b""), "no ledger"),
        (lambda path: overwrite(without_note(path), 3), "damaged|no usable"),
        (lambda path: newer(without_note(path)), "written by a newer version"),
    ],
)
def test_an_unusable_backup_changes_nothing(
    backup: Path, ledger_url: str, damage: Callable[[Path], object], says: str
) -> None:
    before = content(ledger_url)
    damage(backup)
    with pytest.raises(InvalidInput, match=says):
        restore(ledger_url, backup, force=True)
    assert content(ledger_url) == before
    with OrderLedger(ledger_url) as ledger:
        assert ledger.halts.current() is None


def test_a_full_disk_leaves_the_present_ledger(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own limit of pages gives the same error as a disk without room."""
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    with OrderLedger(url) as ledger:
        ledger.halts.halt("stands", "tester", NOW)

    def into_a_small_place(
        source: sqlite3.Connection, target: sqlite3.Connection, _: object
    ) -> None:
        target.execute("PRAGMA max_page_count = 1")
        for line in source.iterdump():
            target.execute(line)

    monkeypatch.setattr(restoring, "copy_database", into_a_small_place)
    with pytest.raises(InvalidInput, match=r"full.*free space.*still in its place"):
        restore(url, backup, force=True)
    assert not list(tmp_path.glob(".other*"))
    with OrderLedger(url) as ledger:
        assert [halt.reason for halt in ledger.halts.in_force()] == ["stands"]


def test_a_damaged_ledger_is_put_aside_with_all_that_is_left_of_it(
    backup: Path, tmp_path: Path
) -> None:
    path = tmp_path / "broken.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    (tmp_path / "broken.sqlite-wal").write_bytes(b"log")
    done = restore(f"sqlite:///{path}", backup, force=True)
    assert Path(done.aside).read_bytes()[16:] == b"\xff" * 9000
    assert Path(f"{done.aside}-wal").read_bytes() == b"log"
    assert content(f"sqlite:///{path}") == content(f"sqlite:///{backup}")


def without_note(path: Path) -> Path:
    path.with_name(f"{path.name}.json").unlink()
    return path


def overwrite(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(os.urandom(4096))


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (999, 'later', 'x', 'y')")
        connection.commit()
