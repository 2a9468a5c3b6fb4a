"""The same repositories on DuckLake, by the extension packages of the lock."""

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy.engine import make_url

from models.domain.errors import InvalidInput, RetryLater
from warehouse.market import MarketWarehouse
from warehouse.market.bars import MergeResult
from warehouse.market.history_windows import HistoryWindow, WindowState
from warehouse.market.targets import Target

pytest.importorskip("duckdb_extension_ducklake", reason="the lake's extensions are not installed")

NOW = datetime(2024, 1, 5, 22, 0, tzinfo=UTC)
DAY = date(2024, 1, 3)
WRITE = """
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
import pandas as pd
from warehouse.market import MarketWarehouse
warehouse = MarketWarehouse(sys.argv[1], 60, Path(sys.argv[2]))
for number in range(2):
    day = date(2024, 1, 1) + timedelta(days=number)
    frame = pd.DataFrame({"symbol": [sys.argv[3], "BOTH"], "session": day, "open": 1.0, "high": 1.0,
        "low": 1.0, "close": 1.0, "volume": 5})
    warehouse.bars.merge_daily(frame, sys.argv[3], datetime(2024, 1, 5, tzinfo=UTC))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return the place and the folder of one lake for all: to make its tables takes seconds."""
    folder = tmp_path_factory.mktemp("lake")
    place, files = f"ducklake:sqlite:{folder / 'catalog.sqlite'}", folder / "files"
    MarketWarehouse(place, 60, files).check()
    return place, files


def daily(volume: int = 5) -> pd.DataFrame:
    row = {"symbol": "KO", "session": DAY, "open": 1.0, "high": 1.5, "low": 0.5, "close": 1.25}
    return pd.DataFrame([row | {"volume": volume}])


def minute_rows(count: int) -> pd.DataFrame:
    ts = pd.date_range("2024-01-03 14:30", periods=count, freq="1min", tz="UTC")
    return pd.DataFrame(
        {"symbol": "KO", "ts": ts, "open": 1.0, "high": 1.5, "low": 0.5, "close": 1.25, "volume": 7}
    )


def exercise(warehouse: MarketWarehouse) -> None:
    assert warehouse.bars.merge_daily(daily(), "x", NOW) == MergeResult(1, 0, 0)
    assert warehouse.bars.merge_daily(daily(6), "x", NOW) == MergeResult(0, 1, 0)
    assert warehouse.bars.merge_daily(daily(6), "x", NOW) == MergeResult(0, 0, 1)
    assert len(warehouse.bars.history()) == 1
    assert warehouse.minutes.merge(minute_rows(12), "x", NOW) == MergeResult(12, 0, 0)
    revised = minute_rows(13).assign(volume=[7] * 11 + [8, 7])
    assert warehouse.minutes.merge(revised, "x", NOW) == MergeResult(1, 1, 11)
    assert warehouse.minutes.bars(timeframe="5m")["volume"].tolist() == [35, 35, 22]
    warehouse.signals.record(DAY, "1", {"KO": 0.5}, NOW)
    warehouse.signals.record(DAY, "1", {"KO": 0.75}, NOW)
    assert warehouse.signals.scores(DAY, "1") == {"KO": 0.75}
    target = Target(DAY, "s", "KO", 0.1, 10, Decimal("1.25"), NOW)
    warehouse.targets.record(DAY, "s", [target])
    warehouse.targets.record(DAY, "s", [target])
    assert warehouse.targets.of_session(DAY, "s") == (target,)
    exercise_keeping(warehouse)


def exercise_keeping(warehouse: MarketWarehouse) -> None:
    """What an ingest writes beside bars; a lake has no keys that could tell of a conflict."""
    bad = daily().assign(close=float("nan"))
    assert warehouse.quarantine.add("bars_daily", pd.concat([bad, bad]), ["no close"] * 2, "1", NOW)
    assert warehouse.quarantine.add("bars_daily", bad, ["no close"], "2", NOW) == 0
    assert [row.run_id for row in warehouse.quarantine.rows()] == ["1"]
    windows = [HistoryWindow("KO", "1 min", DAY, DAY)] * 2
    assert warehouse.history_windows.plan(windows, NOW) == 1
    assert warehouse.history_windows.plan(windows, NOW) == 0
    warehouse.history_windows.settle(windows[0], WindowState.DONE, 390, NOW)
    assert warehouse.history_windows.counts() == {("1 min", "done"): 1}
    count = {"symbol": "KO", "session": DAY, "expected": 390, "received": 195, "accepted": 195}
    counts = pd.DataFrame([count | {"warned": 0}])
    for run, score in (("1", 50.0), ("1", 100.0), ("2", 50.0)):
        warehouse.scores.record("bars_minute", counts, run, NOW)
        assert warehouse.scores.of("bars_minute")["score"].tolist() == [score]


def test_every_repository_works_on_a_lake(lake: tuple[str, Path]) -> None:
    place, files = lake
    exercise(MarketWarehouse(place, 5, files))
    assert list(files.rglob("*.parquet"))
    other = MarketWarehouse(place, 5, files)
    assert other.bars.daily(["KO"])["volume"].tolist() == [6]


def test_a_reader_does_not_wait_for_a_writer(lake: tuple[str, Path]) -> None:
    place, files = lake
    writer = MarketWarehouse(place, 5, files)
    writer.bars.merge_daily(daily().assign(symbol="PEP"), "x", NOW)
    reader = MarketWarehouse(place, 0.2, files)
    with writer._store.write() as connection:
        connection.execute("DELETE FROM bars_daily WHERE symbol = 'PEP'")
        assert len(reader.bars.daily(["PEP"])) == 1
        with pytest.raises(RetryLater, match="another"):
            reader.bars.merge_daily(daily(9).assign(symbol="PEP"), "x", NOW)
    assert len(reader.bars.daily(["PEP"])) == 0


def test_two_processes_lose_no_commit_on_a_sqlite_catalog(lake: tuple[str, Path]) -> None:
    place, files = lake
    names = ("ONE", "TWO")
    command = [sys.executable, "-c", WRITE, place, str(files)]
    workers = [
        subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in names
    ]
    assert [worker.communicate(timeout=120)[1] for worker in workers] == ["", ""]
    coverage = MarketWarehouse(place, 5, files).bars.coverage()
    coverage = coverage[coverage["symbol"].isin(["BOTH", *names])]
    counts = dict(zip(coverage["symbol"], coverage["count"], strict=True))
    assert counts == {"BOTH": 2, "ONE": 2, "TWO": 2}


def test_bars_are_merged_on_a_postgresql_catalog(postgres_url: str, tmp_path: Path) -> None:
    server = make_url(postgres_url)
    place = f"ducklake:postgres:host={server.host} port={server.port} user={server.username} "
    warehouse = MarketWarehouse(f"{place}dbname={server.database}", 5, tmp_path / "files")
    assert warehouse.bars.merge_daily(daily(), "x", NOW) == MergeResult(1, 0, 0)
    assert warehouse.bars.merge_daily(daily(6), "x", NOW) == MergeResult(0, 1, 0)
    assert warehouse.bars.daily()["volume"].tolist() == [6]


def test_a_catalog_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    place = "ducklake:postgres:host=127.0.0.1 port=1 dbname=x"
    with pytest.raises((RetryLater, InvalidInput), match="lake"):
        MarketWarehouse(place, 1, tmp_path / "files").bars.daily()


def test_places_that_are_no_lake_are_explained(tmp_path: Path) -> None:
    cases = [
        ("ducklake:mysql:x", "names no lake"),
        ("ducklake:postgres:host=x password=secret", r"\.pgpass"),
    ]
    for place, says in cases:
        with pytest.raises(InvalidInput, match=says):
            MarketWarehouse(place, 1, tmp_path)
    with pytest.raises(InvalidInput, match="ROBO_WAREHOUSE_DATA"):
        MarketWarehouse("ducklake:sqlite:/tmp/x", 1)
