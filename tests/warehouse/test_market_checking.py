"""A check reads a part at a time: writers get in between, and it still tells the truth."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from warehouse.market import MarketWarehouse, spans
from warehouse.market.checking import check_market
from warehouse.market.contents import table_contents, whole_content
from warehouse.market.maintenance import retain_market

NOW = datetime(2024, 1, 12, 22, 0, tzinfo=UTC)
DAYS = tuple(date(2024, 1, day) for day in (3, 4, 5, 8))
WRITE = """
import sys
from datetime import UTC, datetime
import pandas as pd
from warehouse.market import MarketWarehouse
warehouse = MarketWarehouse(sys.argv[1], deadline=5)
frame = warehouse.minutes.bars()
print("ready", flush=True)
for number, _line in enumerate(sys.stdin, start=1):
    at = datetime(2024, 1, 13, number, tzinfo=UTC)
    warehouse.minutes.merge(frame.assign(volume=frame["volume"] + number), "x", at)
    warehouse.minutes.merge(frame.assign(symbol=f"S{number}"), "x", at)
    print("merged", flush=True)
"""


def minute_frame(day: date, symbol: str = "KO") -> pd.DataFrame:
    ts = pd.date_range(f"{day} 14:30", periods=390, freq="1min", tz="UTC")
    price = 50 + np.arange(390) / 100
    frame = pd.DataFrame({"symbol": symbol, "ts": ts, "open": price, "high": price + 0.02})
    return frame.assign(low=price - 0.01, close=price + 0.01, volume=np.arange(390))


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MarketWarehouse:
    monkeypatch.setattr(spans, "FIRST_PART", 500)  # a read a day
    monkeypatch.setattr(spans, "LEAST_PART", 500)
    monkeypatch.setattr(spans, "HELD", 1e-9)
    made = MarketWarehouse(tmp_path / "warehouse.duckdb", deadline=5)
    made.minutes.merge(pd.concat([minute_frame(day) for day in DAYS]), "x", NOW)
    return made


@pytest.fixture
def writer(warehouse: MarketWarehouse) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(warehouse.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()


def say(_text: str) -> None:
    pass


def test_parts_have_the_hash_of_the_whole(warehouse: MarketWarehouse) -> None:
    found = check_market(warehouse.store, say)
    with warehouse.store.read() as connection:
        whole = table_contents(connection)
    assert found.problems == ()
    assert found.sha256 == whole_content(whole)
    assert {name: (table.rows, table.sha256) for name, table in found.tables.items()} == {
        name: (table.rows, table.sha256) for name, table in whole.items()
    }


def test_a_writer_gets_in_between_two_reads_and_nothing_is_wrong(
    warehouse: MarketWarehouse, writer: subprocess.Popen[str]
) -> None:
    told: list[str] = []

    def write(text: str) -> None:
        told.append(text)
        assert writer.stdin is not None
        assert writer.stdout is not None
        if len(told) < 4:  # the check waits here until both merges are in the file
            print("go", file=writer.stdin, flush=True)
            assert writer.stdout.readline() == "merged\n", "the writer was kept out"

    found = check_market(warehouse.store, write)
    assert "bars_minute" in told[0]
    assert " of " in told[0]
    assert found.problems == ()
    assert found.sha256 is None
    assert {table.sha256 for table in found.tables.values()} == {None}
    assert len(warehouse.minutes.bars()) == 4 * len(DAYS) * 390
    assert check_market(warehouse.store, say).sha256 is not None


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE bars_minute SET low = -1 WHERE minute(ts) = 31", "has 28 bars whose prices"),
        (
            "UPDATE bars_minute SET session = session + 1 WHERE session IN ('2024-01-03', "
            "'2024-01-04')",
            "has 780 rows of another day than their session (first: KO 2024-01-04)",
        ),
        (
            "UPDATE bars_minute SET ts = ts + INTERVAL 2 DAY, session = '2024-01-05' "
            "WHERE session = '2024-01-03'",
            "bars_minute has KO 2024-01-05 ",
        ),
        ("DELETE FROM bars_1h", "bars_1h differs from bars_15m in 4 sessions (first: KO 2024-01-0"),
        ("UPDATE bars_5m SET volume = volume + 1", "bars_5m differs from bars_minute in 4"),
    ],
)
def test_what_is_wrong_in_several_parts_is_told_once(
    warehouse: MarketWarehouse, statement: str, says: str
) -> None:
    with duckdb.connect(str(warehouse.path)) as outside:
        outside.execute(statement)
    problems = check_market(warehouse.store, say).problems
    assert sum(says in problem for problem in problems) == 1, problems


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE larger_bars_known SET low = -1 WHERE timeframe = '1h'", "has 14 bars whose"),
        (
            "INSERT INTO larger_bars_known FROM larger_bars_known WHERE timeframe = '1d'",
            "larger_bars_known has 1d KO 2024-01-0",
        ),
        (
            "DELETE FROM bars_1h WHERE session = '2024-01-03'",
            "bars_1h has 7 bars without minutes that differ",
        ),
        (
            "UPDATE bars_5m SET open = low WHERE session = '2024-01-04'",
            "bars_5m has 78 bars without minutes that differ",
        ),
    ],
)
def test_what_is_kept_of_dropped_minutes_is_held_against_their_bars(
    warehouse: MarketWarehouse, statement: str, says: str
) -> None:
    retain_market(warehouse.store, DAYS[2], None, True, say)
    assert check_market(warehouse.store, say).problems == ()
    with duckdb.connect(str(warehouse.path)) as outside:
        outside.execute(statement)
    problems = check_market(warehouse.store, say).problems
    assert sum(says in problem for problem in problems) == 1, problems
