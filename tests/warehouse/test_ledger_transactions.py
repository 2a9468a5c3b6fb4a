"""What the order path relies on: snapshots, urgent transactions, one room for gate and report."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text
from sqlalchemy.exc import NoResultFound

from models.domain.errors import HaltTrading
from models.domain.orders import ChildOrder, ChildState, ParentOrder
from warehouse.ledger import OrderLedger
from warehouse.ledger.sqlite_file import CHECKPOINT_PAGES

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
FRAME = 24 + 4096  # bytes of a page in the log
Make = Callable[..., ChildOrder]
MakeParent = Callable[..., ParentOrder]


def in_thread(action: Callable[[], object]) -> None:
    thread = Thread(target=action)
    thread.start()
    thread.join()


def test_a_snapshot_sees_one_moment(ledger: OrderLedger) -> None:
    with ledger.snapshot():
        assert ledger.halts.current() is None
        in_thread(lambda: ledger.halts.halt("from elsewhere", "tester", NOW))
        assert ledger.halts.current() is None
    assert ledger.halts.current() is not None


def test_a_write_inside_a_snapshot_commits_and_reads_itself(ledger: OrderLedger) -> None:
    with ledger.snapshot():
        assert ledger.events.since() == ()
        with ledger.transaction():
            ledger.events.append("note", "p.1.1", {}, NOW)
            assert len(ledger.events.since()) == 1
        in_thread(lambda: ledger.halts.halt("the writer's lock is free", "tester", NOW))
    assert (len(ledger.events.since()), len(ledger.halts.history())) == (1, 1)


@pytest.mark.parametrize("urgent", [False, True])
def test_what_fails_leaves_nothing_and_the_next_goes_on(ledger: OrderLedger, urgent: bool) -> None:
    def fail() -> None:
        with ledger.transaction(urgent=urgent):
            ledger.events.append("note", "p.1.1", {}, NOW)
            raise HaltTrading("in the middle")

    with pytest.raises(HaltTrading, match="in the middle"):
        fail()
    assert ledger.events.since() == ()
    assert ledger.events.append("note", "p.1.1", {}, NOW) == 1


def test_an_urgent_transaction_leaves_the_upkeep_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with OrderLedger(f"sqlite:///{path}") as ledger:

        def append(*, urgent: bool, size: int) -> None:
            with ledger.transaction(urgent=urgent):
                ledger.events.append("note", "p.1.1", {"pad": "x" * size}, NOW)

        def seen(database: Path) -> int:
            """Count the events in the file itself, as it would be without its log."""
            copy = tmp_path / "without-log.sqlite"
            copy.write_bytes(database.read_bytes())
            with closing(sqlite3.connect(copy)) as alone:
                return alone.execute("SELECT COUNT(*) FROM broker_events").fetchone()[0]

        append(urgent=False, size=1)
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(FULL)")
        assert seen(path) == 1
        for _ in range(3):
            append(urgent=True, size=CHECKPOINT_PAGES * 2000)
        assert path.with_name("ledger.sqlite-wal").stat().st_size > CHECKPOINT_PAGES * FRAME
        assert seen(path) == 1
        append(urgent=False, size=1)
        assert seen(path) == 5


def test_a_row_is_a_tuple_with_names_on_either_database(ledger: OrderLedger) -> None:
    ledger.halts.halt("enough", "tester", NOW)
    with ledger._store.read() as connection:
        one = connection.execute(text("SELECT reason, halted_by AS who FROM halts")).one()
        assert (one.reason, one.who, tuple(one)) == ("enough", "tester", ("enough", "tester"))
        none = text("SELECT reason FROM halts WHERE id < 0")
        assert connection.execute(none).first() is None
        assert connection.execute(none).one_or_none() is None
        assert connection.execute(none).scalar_one_or_none() is None
        with pytest.raises(NoResultFound):
            connection.execute(none).one()


def test_the_gate_counts_a_parents_room_as_the_view_does(
    ledger: OrderLedger, make_parent: MakeParent, make_child: Make
) -> None:
    ledger.parents.add([make_parent(quantity=60), make_parent("MSFT", quantity=60)])
    send, record = ledger.children.commit_intent, ledger.children.record_status
    told = [
        (make_child(0, 10), ChildState.FILLED, 10),
        (make_child(1, 10), ChildState.PARTIAL, 4),
        (make_child(2, 10), ChildState.CANCELLED, 3),
        (make_child(3, 10), ChildState.REJECTED, 0),
        (make_child(4, 10), ChildState.UNKNOWN, 0),
        (make_child(5, 10, oca_group="g"), ChildState.ACKED, 0),
        (make_child(6, 10, oca_group="g"), ChildState.ACKED, 0),
        (make_child(7, 7, oca_group="g"), ChildState.ACKED, 0),
    ]
    for child, state, filled in told:
        send(child, 11, "SIM1", next_valid_id=1, at=NOW)
        record(child.order_ref, state, filled)
    with ledger._store.read() as connection:
        view = text("SELECT SUM(exposure) FROM parent_exposures WHERE parent_id = :id")
        exposure = int(connection.execute(view, {"id": "20240102-ml-AAPL"}).scalar_one())
    assert exposure == 10 + 10 + 3 + 10 + 10
    with pytest.raises(HaltTrading, match="of which 43 are filled or may still fill"):
        send(make_child(8, 18), 11, "SIM1", next_valid_id=1, at=NOW)
    assert send(make_child(8, 17), 11, "SIM1", next_valid_id=1, at=NOW).quantity == 17


def test_threads_share_the_file_and_nothing_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with OrderLedger(f"sqlite:///{path}") as ledger:

        def append() -> None:
            for number in range(20):
                with ledger.snapshot(), ledger.transaction(urgent=bool(number % 2)):
                    ledger.events.append("note", "p.1.1", {}, NOW)

        threads = [Thread(target=append) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [event.id for event in ledger.events.since()] == list(range(1, 81))
        assert open_files(path)
        with ledger.transaction():
            ledger.close()
            ledger.events.append("note", "p.1.1", {}, NOW)
        assert not open_files(path)
        assert len(ledger.events.since()) == 81, "the end of a transaction outlives the closing"
    assert not open_files(path)


def open_files(path: Path) -> list[str]:
    """Return what of a file and its log this process holds open."""
    handles = [entry for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    return [str(handle.readlink()) for handle in handles if str(path) in str(handle.readlink())]


@pytest.mark.parametrize(
    ("column", "index"), [("sent_at", "children_sent"), ("perm_id", "children_perm")]
)
def test_what_is_not_known_at_an_intent_is_in_no_index_of_it(
    tmp_path: Path, column: str, index: str
) -> None:
    path = tmp_path / "ledger.sqlite"
    with OrderLedger(f"sqlite:///{path}"), closing(sqlite3.connect(path)) as reader:
        found = "EXPLAIN QUERY PLAN SELECT COUNT(*) FROM children WHERE account = 'A' AND "
        (plan,) = reader.execute(f"{found}{column} >= '5'").fetchall()
        assert index in plan[3]
        (plan,) = reader.execute(f"{found}{column} IS NULL").fetchall()
        assert index not in plan[3]
