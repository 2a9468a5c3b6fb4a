"""Backup, restore, compact, check, retention, export and import of the DuckDB file."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput, RetryLater
from warehouse.market import MarketWarehouse
from warehouse.market.checking import check_market
from warehouse.market.contents import table_contents, whole_content
from warehouse.market.daily_agreement import differing_days
from warehouse.market.exchange import export_market, import_market
from warehouse.market.history_windows import HistoryWindow
from warehouse.market.maintenance import retain_market
from warehouse.market.storage import backup_market, compact_market, restore_market

NOW = datetime(2024, 1, 5, 22, 0, tzinfo=UTC)
DAYS = (date(2024, 1, 3), date(2024, 1, 4))
READ = """
import sys, time
from warehouse.market import MarketWarehouse
warehouse = MarketWarehouse(sys.argv[1], deadline=30)
print("ready", flush=True)
until = time.monotonic() + 0.7
turns = 0
while time.monotonic() < until or turns < 3:
    assert len(warehouse.bars.daily()) == 2
    rows = len(warehouse.minutes.bars(timeframe="1d"))
    turns += 1
print(rows, flush=True)
"""


def say(_text: str) -> None:
    pass


def minute_frame(day: date, symbol: str = "KO", count: int = 390) -> pd.DataFrame:
    ts = pd.date_range(f"{day} 14:30", periods=count, freq="1min", tz="UTC")
    price = 50 + np.arange(count) / 100
    return pd.DataFrame(
        {"symbol": symbol, "ts": ts, "open": price, "high": price + 0.02, "low": price - 0.01}
    ).assign(close=price + 0.01, volume=np.arange(count))


def fill(warehouse: MarketWarehouse) -> MarketWarehouse:
    daily = pd.DataFrame({"symbol": "KO", "session": list(DAYS), "open": 50.0})
    daily = daily.assign(high=53.91, low=49.99, close=53.9, volume=9)
    warehouse.bars.merge_daily(daily, "x", NOW)
    for day in DAYS:
        warehouse.minutes.merge(minute_frame(day), "x", NOW)
    warehouse.minutes.merge(minute_frame(DAYS[0]).assign(volume=5).head(3), "y", NOW)
    return warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> MarketWarehouse:
    return fill(MarketWarehouse(tmp_path / "state" / "warehouse.duckdb", deadline=5))


def files(warehouse: MarketWarehouse) -> list[str]:
    found = (file.name for file in warehouse.path.parent.iterdir())
    return sorted(name for name in found if not name.endswith(".turn"))


def content(warehouse: MarketWarehouse) -> str:
    with warehouse.store.read() as connection:
        return whole_content(table_contents(connection))


def test_a_whole_warehouse_is_found_whole(warehouse: MarketWarehouse) -> None:
    found = check_market(warehouse.store, say)
    assert found.problems == ()
    assert found.tables["bars_minute"].rows == 780
    assert found.sha256 == content(warehouse)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("INSERT INTO bars_minute SELECT * FROM bars_minute LIMIT 1", "more than once"),
        ("UPDATE bars_minute SET low = -1 WHERE minute(ts) = 31", "prices or volume cannot be"),
        ("UPDATE bars_5m SET volume = volume + 1", "bars_5m differs from bars_minute"),
        ("DELETE FROM bars_1h WHERE session = '2024-01-03'", "bars_1h differs from bars_15m"),
        ("UPDATE bars_minute SET session = '2024-01-06'", "days without a session"),
    ],
)
def test_what_was_altered_is_named(warehouse: MarketWarehouse, statement: str, says: str) -> None:
    with duckdb.connect(str(warehouse.path)) as outside:
        outside.execute(statement)
    problems = check_market(warehouse.store, say).problems
    assert any(says in problem for problem in problems), problems


def test_a_backup_is_a_whole_copy_and_comes_back(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    before = content(warehouse)
    target = tmp_path / "copies" / "one.duckdb"
    done = backup_market(warehouse.store, target, say)
    assert (done.sha256, done.rows["bars_minute"]) == (before, 780)
    with pytest.raises(InvalidInput, match="never overwritten"):
        backup_market(warehouse.store, target, say)
    warehouse.minutes.merge(minute_frame(date(2024, 1, 5)), "x", NOW)
    after = content(warehouse)
    with pytest.raises(InvalidInput, match="--force"):
        restore_market(warehouse.store, target, NOW, False, say)
    restored = restore_market(warehouse.store, target, NOW, True, say)
    assert content(warehouse) == restored.sha256 == before != after
    assert content(MarketWarehouse(restored.aside)) == after
    assert files(warehouse) == [
        "warehouse.duckdb",
        "warehouse.duckdb.20240105T220000Z",
    ]


def test_a_damaged_file_is_replaced_by_its_backup(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    before = content(warehouse)
    target = tmp_path / "one.duckdb"
    backup_market(warehouse.store, target, say)
    warehouse.path.write_bytes(b"no database " * 4000)
    with pytest.raises(InvalidInput, match="restore"):
        check_market(warehouse.store, say)
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_bytes(warehouse.path.read_bytes())
    with pytest.raises(InvalidInput):
        restore_market(warehouse.store, damaged, NOW, True, say)
    restore_market(warehouse.store, target, NOW, True, say)
    assert content(warehouse) == before


def test_a_file_is_rewritten_smaller_with_the_same_content(warehouse: MarketWarehouse) -> None:
    with warehouse.store.write() as connection:
        connection.execute("CREATE TABLE waste AS SELECT hash(range) AS x FROM range(500000)")
    with warehouse.store.write() as connection:
        connection.execute("DROP TABLE waste")
    before = content(warehouse)
    done = compact_market(warehouse.store, say)
    assert done.after < done.before
    assert content(warehouse) == done.sha256 == before
    assert warehouse.minutes.merge(minute_frame(DAYS[1]), "x", NOW).unchanged == 390
    assert files(warehouse) == ["warehouse.duckdb"]


def test_a_file_that_was_written_to_meanwhile_is_left_alone(warehouse: MarketWarehouse) -> None:
    other = MarketWarehouse(warehouse.path, deadline=5)

    def interfere(_text: str) -> None:
        other.minutes.merge(minute_frame(date(2024, 1, 5)), "x", NOW)

    with pytest.raises(RetryLater, match="written to meanwhile"):
        compact_market(warehouse.store, interfere)
    assert len(warehouse.minutes.bars()) == 1170
    assert files(warehouse) == ["warehouse.duckdb"]


def test_retention_drops_minutes_and_keeps_what_was_built_of_them(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    counted = retain_market(warehouse.store, DAYS[1], tmp_path / "old", False, say)
    assert counted.rows["bars_minute"] == 390
    assert len(warehouse.minutes.bars()) == 780
    assert not (tmp_path / "old").exists()
    hours = warehouse.minutes.bars(timeframe="1h")
    done = retain_market(warehouse.store, DAYS[1], tmp_path / "old", True, say)
    assert {name: rows for name, rows in done.rows.items() if rows} == {
        "bars_minute": 390,
        "bars_minute_history": 3,
    }
    assert len(pd.read_parquet(done.written[0])) == 390
    with pytest.raises(InvalidInput, match="holds Parquet files"):
        retain_market(warehouse.store, date(2024, 1, 5), tmp_path / "old", True, say)
    pd.testing.assert_frame_equal(warehouse.minutes.bars(timeframe="1h"), hours)
    assert check_market(warehouse.store, say).problems == ()
    with pytest.raises(InvalidInput, match="only 389 of 390 minutes"):
        warehouse.minutes.merge(minute_frame(DAYS[0]).head(389), "x", NOW)
    pd.testing.assert_frame_equal(warehouse.minutes.bars(timeframe="1h"), hours)
    assert warehouse.minutes.merge(minute_frame(DAYS[0]), "x", NOW).added == 390


def test_retention_drops_five_second_bars_and_forgets_whose_history_was_fetched(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    for day in DAYS[:2]:
        ts = pd.date_range(
            pd.Timestamp(day, tz="UTC") + pd.Timedelta(hours=15), periods=9, freq="5s"
        )
        bars = pd.DataFrame({"symbol": "KO", "ts": ts, "open": 60.0, "high": 61.0, "low": 59.0})
        warehouse.seconds.merge(bars.assign(close=60.5, volume=100), "x", NOW)
        warehouse.history_windows.plan([HistoryWindow("KO", "1 min", day, day)], NOW)
    done = retain_market(warehouse.store, DAYS[1], tmp_path / "old", True, say)
    assert done.rows["bars_5s"] == 9
    (file,) = (name for name in done.written if "bars_5s" in name)
    assert len(pd.read_parquet(file)) == 9
    (left,) = warehouse.seconds.coverage().to_dict("records")
    assert left["count"] == 9 and left["first"].date() == DAYS[1]
    assert [item.first for item in warehouse.history_windows.covered("KO", "1 min")] == [DAYS[1]]


def test_rows_go_after_their_files_and_names_are_on_the_disk(
    warehouse: MarketWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = tmp_path / "far" / "old", list[Path]()
    sync = os.fsync

    def noted(descriptor: int) -> None:
        sync(descriptor)
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        if done[-1] == folder:
            raise OSError("the disk is gone")

    monkeypatch.setattr(os, "fsync", noted)
    with pytest.raises(OSError, match="the disk is gone"):
        retain_market(warehouse.store, DAYS[1], folder, True, say)
    (file,) = folder.iterdir()
    assert done == [tmp_path, folder.parent, file, folder]
    assert len(pd.read_parquet(file)) == 390
    assert len(warehouse.minutes.bars()) == 780, "the last name was not safe: nothing went"


def test_an_export_comes_back_with_the_same_hash(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    done = export_market(warehouse.store, tmp_path / "out", NOW, say)
    assert done.sha256 == content(warehouse)
    empty = MarketWarehouse(tmp_path / "new" / "warehouse.duckdb")
    found = import_market(empty.store, tmp_path / "out", say)
    assert found.sha256 == done.sha256 == content(empty)
    assert len(empty.minutes.history()) == 3
    again = export_market(empty.store, tmp_path / "again", NOW, say)
    assert again.tables == done.tables
    with pytest.raises(InvalidInput, match="import into an empty one"):
        import_market(empty.store, tmp_path / "out", say)
    with pytest.raises(InvalidInput, match="not empty"):
        export_market(warehouse.store, tmp_path / "out", NOW, say)


def test_an_export_that_was_altered_is_refused(warehouse: MarketWarehouse, tmp_path: Path) -> None:
    export_market(warehouse.store, tmp_path / "out", NOW, say)
    file = tmp_path / "out" / "bars_daily.parquet"
    frame = pd.read_parquet(file).assign(close=53.91)
    frame.to_parquet(file)
    empty = MarketWarehouse(tmp_path / "new" / "warehouse.duckdb")
    with pytest.raises(InvalidInput, match="does not hold what the manifest says"):
        import_market(empty.store, tmp_path / "out", say)
    assert len(empty.bars.daily()) == len(empty.minutes.bars()) == 0
    with pytest.raises(InvalidInput, match="no export"):
        import_market(empty.store, tmp_path, say)


def test_a_lake_takes_an_export_with_the_same_hash(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    pytest.importorskip("duckdb_extension_ducklake", reason="the lake is not installed")
    done = export_market(warehouse.store, tmp_path / "out", NOW, say)
    lake = MarketWarehouse(f"ducklake:sqlite:{tmp_path}/catalog.sqlite", 5, tmp_path / "files")
    assert import_market(lake.store, tmp_path / "out", say).sha256 == done.sha256
    assert check_market(lake.store, say).sha256 == done.sha256
    assert export_market(lake.store, tmp_path / "back", NOW, say).sha256 == done.sha256
    with pytest.raises(InvalidInput, match="is a lake"):
        backup_market(lake.store, tmp_path / "copy", say)


def test_daily_bars_are_compared_with_their_minutes(warehouse: MarketWarehouse) -> None:
    assert differing_days(warehouse.store, 0.01) == []
    other = warehouse.bars.daily().assign(close=53.5, volume=9)
    warehouse.bars.merge_daily(other.tail(1), "x", NOW)
    assert differing_days(warehouse.store, 75.0) == [], "74.8 bps"
    (found,) = differing_days(warehouse.store, 74.0)
    assert found == ("KO", DAYS[1], "close", 53.5, pytest.approx(53.9))
    assert check_market(warehouse.store, say).problems == ()
    (problem,) = check_market(warehouse.store, say, daily_bps=5.0).problems
    assert "close of KO on 2024-01-04 at 53.5 USD" in problem


def test_readers_and_a_copy_go_on_beside_a_writer(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READ, str(warehouse.path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    number = 0
    while any(reader.poll() is None for reader in readers) and number < 2000:
        warehouse.minutes.merge(minute_frame(DAYS[1], f"S{number % 7}", 60), "x", NOW)
        number += 1
        if number == 5:
            backup_market(warehouse.store, tmp_path / "copy.duckdb", say)
    ended = [reader.communicate(timeout=60) for reader in readers]
    assert [said for _, said in ended] == ["", ""]
    assert check_market(warehouse.store, say).problems == ()
