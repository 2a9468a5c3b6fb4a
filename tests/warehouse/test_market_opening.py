"""The DuckDB file under other processes, newer schemas and unusable places."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from models.domain.errors import InvalidInput, RetryLater
from warehouse.market import MarketWarehouse

NOW = datetime(2024, 1, 5, 22, 0, tzinfo=UTC)
HOLD = (
    "import duckdb, sys\n"
    "connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'read')\n"
    "print('held', flush=True)\n"
    "sys.stdin.readline()\n"
)
WRITE = """
import sys
from datetime import UTC, date, datetime, timedelta
import pandas as pd
from warehouse.market import MarketWarehouse
warehouse = MarketWarehouse(sys.argv[1], deadline=30)
print("ready", flush=True)
sys.stdin.readline()
for number in range(6):
    day = date(2024, 1, 1) + timedelta(days=number)
    frame = pd.DataFrame({"symbol": [sys.argv[2], "BOTH"], "session": day, "open": 1.0, "high": 1.0,
        "low": 1.0, "close": 1.0, "volume": 5})
    warehouse.bars.merge_daily(frame, sys.argv[2], datetime(2024, 1, 5, tzinfo=UTC))
"""


def bar(symbol: str = "KO", close: float = 1.0) -> pd.DataFrame:
    row = {"symbol": symbol, "session": date(2024, 1, 2), "open": 1.0, "high": 1.0, "low": 1.0}
    return pd.DataFrame([row | {"close": close, "volume": 5}])


@contextmanager
def held(path: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.communicate("\n", timeout=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "warehouse.duckdb"
    MarketWarehouse(file).check()
    return file


@pytest.mark.parametrize("how", ["write", "read"])
def test_a_writer_names_who_holds_the_file(path: Path, how: str) -> None:
    with held(path, how) as holder, pytest.raises(RetryLater) as caught:
        MarketWarehouse(path, deadline=0.2).bars.merge_daily(bar(), "x", NOW)
    assert f"process {holder.pid} " in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_reader_waits_for_a_writer_only(path: Path) -> None:
    warehouse = MarketWarehouse(path, deadline=0.2)
    with held(path, "write"), pytest.raises(RetryLater, match="is held by process"):
        warehouse.bars.daily()
    with held(path, "read"):
        assert len(warehouse.bars.daily()) == 0


def test_a_file_that_is_let_go_in_time_is_written(path: Path) -> None:
    with held(path, "write") as holder:
        assert holder.stdin is not None
        release = threading.Timer(0.3, holder.kill)
        release.start()
        result = MarketWarehouse(path, deadline=20).bars.merge_daily(bar(), "x", NOW)
        release.join()
    assert result.added == 1


def test_two_processes_write_one_new_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "warehouse.duckdb"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("ONE", "TWO")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    failures = [worker.communicate(timeout=90)[1] for worker in workers]
    assert failures == ["", ""]
    coverage = MarketWarehouse(path).bars.coverage()
    assert dict(zip(coverage["symbol"], coverage["count"], strict=True)) == {
        "BOTH": 6,
        "ONE": 6,
        "TWO": 6,
    }


def test_threads_of_one_process_read_and_write(path: Path) -> None:
    warehouse = MarketWarehouse(path, deadline=20)
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(4):
                warehouse.bars.merge_daily(bar(f"S{number}", close=1.0 + turn), "x", NOW)
                warehouse.bars.daily()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert warehouse.bars.daily()["close"].tolist() == [4.0] * 3
    assert len(warehouse.bars.history()) == 9


def test_a_failed_write_leaves_nothing(path: Path) -> None:
    warehouse = MarketWarehouse(path)
    with pytest.raises(RuntimeError), warehouse._store.write() as connection:
        connection.execute(
            "INSERT INTO bars_daily VALUES ('KO', '2024-01-02', 1, 1, 1, 1, 5, 'x', '2024-01-02')"
        )
        raise RuntimeError("the process dies here")
    assert len(warehouse.bars.daily()) == 0


def test_a_newer_schema_is_refused(path: Path) -> None:
    with duckdb.connect(str(path)) as outside:
        outside.execute("INSERT INTO schema_migrations VALUES (9999, 'later', 'x', '2024-01-02')")
    warehouse = MarketWarehouse(path)
    for use in (warehouse.bars.daily, lambda: warehouse.bars.merge_daily(bar(), "x", NOW)):
        with pytest.raises(InvalidInput, match=r"written by a newer version \(schema 9999"):
            use()


def test_an_edited_step_is_refused(path: Path) -> None:
    with duckdb.connect(str(path)) as outside:
        outside.execute("UPDATE schema_migrations SET checksum = 'x'")
    with pytest.raises(InvalidInput, match="another form"):
        MarketWarehouse(path).check()


def test_a_file_without_a_schema_gets_one(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    assert len(MarketWarehouse(tmp_path / "empty.duckdb").bars.daily()) == 0


def test_unusable_places_are_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    cases = [
        (tmp_path, "is a folder"),
        (tmp_path / "file" / "warehouse.duckdb", "cannot be made"),
        (Path("/proc/self/warehouse.duckdb"), "readable and writable"),
    ]
    for place, says in cases:
        with pytest.raises(InvalidInput, match=says):
            MarketWarehouse(place).bars.daily()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidInput, match="readable and writable"):
        MarketWarehouse(tmp_path / "warehouse.duckdb").check()


def test_a_file_of_another_kind_is_refused_and_kept(tmp_path: Path) -> None:
    place = tmp_path / "warehouse.duckdb"
    place.write_bytes(b"this is no database " * 1000)
    with pytest.raises(InvalidInput, match="restore a backup"):
        MarketWarehouse(place).check()
    assert place.read_bytes().startswith(b"this is no database")


def test_a_damaged_file_is_refused(path: Path) -> None:
    MarketWarehouse(path).bars.merge_daily(bar(), "x", NOW)
    content = bytearray(path.read_bytes())
    content[4096:12288] = os.urandom(8192)
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="restore a backup"):
        MarketWarehouse(path).bars.daily()
