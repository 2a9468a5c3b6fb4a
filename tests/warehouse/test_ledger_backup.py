"""A backup is whole, of one moment, and written while others go on writing."""

import json
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import ParentOrder
from warehouse.ledger import OrderLedger
from warehouse.ledger.backup import sha256_of

NOW = datetime(2024, 1, 2, 22, 0, tzinfo=UTC)


def quiet(_: str) -> None:
    """Take a line of progress and show it to nobody."""


def test_a_backup_holds_what_the_ledger_holds(filled: OrderLedger, tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "away" / "ledger.sqlite"
    done = filled.backup(path, NOW, told.append)
    assert told[-1] == "verifying the copy"
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, f"{path.name}.json"]
    note = json.loads((tmp_path / "away" / "ledger.sqlite.json").read_text())
    assert (note["sha256"], note["taken_at"]) == (sha256_of(path), "2024-01-02T22:00:00.000000Z")
    present = filled.audit("SIM1")
    with OrderLedger(f"sqlite:///{path}") as copy:
        found = copy.audit("SIM1")
        assert found.contradictions == ()
        assert (found.rows, found.head) == (present.rows, present.head)
        assert copy.executions.positions("SIM1") == filled.executions.positions("SIM1")
        assert copy.children.of_parent("20240102-ml-AAPL") == filled.children.of_parent(
            "20240102-ml-AAPL"
        )
    assert (done.head, done.rows["executions"]) == (present.head, 1)


def test_writers_go_on_during_a_backup_and_it_is_of_one_moment(
    ledger: OrderLedger, make_parent: Callable[..., ParentOrder], tmp_path: Path
) -> None:
    started, stop = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set() and number < 2_000:
            number += 1
            with ledger.transaction():  # both, or neither
                ledger.parents.add([make_parent(parent_id=f"p{number}")])
                ledger.events.append("note", f"p{number}", {"pad": "x" * 500}, NOW)
            if number > 20:
                started.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert started.wait(60)
        done = ledger.backup(tmp_path / "busy.sqlite", NOW, quiet)
    finally:
        stop.set()
        writer.join()
    assert done.rows["parents"] == done.rows["broker_events"] == done.rows["chain"] >= 20
    with OrderLedger(f"sqlite:///{tmp_path / 'busy.sqlite'}") as copy:
        assert copy.audit("").contradictions == ()


def test_a_backup_overwrites_nothing(filled: OrderLedger, tmp_path: Path) -> None:
    path = tmp_path / "here.sqlite"
    path.write_text("precious")
    with pytest.raises(InvalidInput, match="exists; name another file"):
        filled.backup(path, NOW, quiet)
    assert path.read_text() == "precious"


def test_a_place_that_takes_no_files_is_named_and_nothing_is_left(
    filled: OrderLedger, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match=r"cannot be written.*name a folder with room"):
        filled.backup(tmp_path / "file" / "b.sqlite", NOW, quiet)
    assert [p.name for p in tmp_path.iterdir() if p.name != "state"] == ["file"]


def test_no_backup_is_made_of_a_damaged_ledger(tmp_path: Path, make_parent) -> None:
    path = tmp_path / "ledger.sqlite"
    with OrderLedger(f"sqlite:///{path}") as ledger:
        ledger.parents.add([make_parent(parent_id=f"p{number}") for number in range(200)])
    with sqlite3.connect(path) as raw:
        page = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'parents'").fetchone()[
            0
        ]
    raw.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : (page - 1) * 4096 + 512] = b"\xff" * 512
    path.write_bytes(content)
    with OrderLedger(f"sqlite:///{path}") as ledger:
        with pytest.raises(Exception, match=r"not whole|damaged") as caught:
            ledger.backup(tmp_path / "b.sqlite", NOW, quiet)
        assert "earlier" in str(caught.value)
    assert not list(tmp_path.glob("*b.sqlite*"))
