"""What it costs to merge a million one-minute bars, validated, the first time and again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.figures import Figure, at_most
from bench.minute_sample import minute_frame
from bench.timing import seconds
from warehouse.market import MarketWarehouse
from warehouse.market.connection import OFFLINE
from warehouse.market.minute_rows import sift_minutes

SYMBOLS, SESSIONS = 10, 257  # 1,000,500 bars
KNOWN_AT = datetime(2026, 1, 5, tzinfo=UTC)
BYTES_OF_VALUES = 8 + 4 + 4 * 8 + 8  # moment, date, prices, volume; the symbol is not counted


def measure() -> Iterator[Figure]:
    """Merge the frame into an empty warehouse, then the same frame again; state what it takes.

    The time runs from the pandas frame and holds the checks of each row, the writes in parts, the
    larger bars and the closing. The keyed insert is of a ready Arrow table into a table of its own;
    the ten checks are pandas expressions over the same frame.
    """
    frame = minute_frame(SYMBOLS, SESSIONS)
    rows = sift_minutes(frame).rows
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        folder = Path(name)
        warehouse = MarketWarehouse(folder / "market.duckdb")
        warehouse.check()
        keyed = seconds(lambda: _keyed_insert(folder / "keyed.duckdb", rows))
        checks = seconds(lambda: _ten_checks(frame))
        validated = seconds(lambda: sift_minutes(frame))
        first = seconds(lambda: warehouse.minutes.merge(frame, "bench", KNOWN_AT))
        again = seconds(lambda: warehouse.minutes.merge(frame, "bench", KNOWN_AT))
        insert = "duckdb INSERT of the ready Arrow table into a table with a primary key"
        limit = "the limit of the issue"
        yield Figure("warehouse.minutes_merge", first, "s", limit, 6.0, at_most(1))
        yield Figure("warehouse.minutes_merge_keyed", first, "s", insert, keyed, at_most(5))
        yield Figure("warehouse.minutes_merge_again", again, "s", limit, 3.0, at_most(1))
        ten = "ten checks of the same frame in pandas"
        yield Figure("warehouse.minutes_checks", validated, "s", ten, checks, at_most(5))
        yield from _sizes(warehouse, rows, folder)


def _sizes(warehouse: MarketWarehouse, rows: Any, folder: Path) -> Iterator[Figure]:
    """State the bytes of a bar: in DuckDB with all that is built from it, and in Parquet."""
    connection = duckdb.connect(str(folder / "bare.duckdb"), config=dict(OFFLINE))
    connection.register("staged", rows)
    connection.execute("CREATE TABLE bars AS SELECT * FROM staged")
    connection.close()
    pq.write_table(rows, folder / "bars.parquet", compression="zstd")
    values = "the values uncompressed, without the symbol"
    for label, file in (
        ("duckdb_whole", warehouse.path),
        ("duckdb", folder / "bare.duckdb"),
        ("parquet", folder / "bars.parquet"),
    ):
        size = file.stat().st_size / rows.num_rows
        bound = 1.5 if label == "duckdb_whole" else 1.0
        yield Figure(
            f"warehouse.bytes_a_bar_{label}",
            size,
            "bytes",
            values,
            BYTES_OF_VALUES,
            at_most(bound),
        )


def _keyed_insert(path: Path, rows: pa.Table) -> None:
    connection = duckdb.connect(str(path), config=dict(OFFLINE))
    connection.execute(
        "CREATE TABLE bars (symbol VARCHAR, ts TIMESTAMP, session DATE, open DOUBLE, high DOUBLE, "
        "low DOUBLE, close DOUBLE, volume BIGINT, PRIMARY KEY (symbol, ts))"
    )
    connection.register("staged", rows)
    connection.execute("INSERT INTO bars BY NAME SELECT * FROM staged")
    connection.close()


def _ten_checks(frame: pd.DataFrame) -> bool:
    prices = frame[["open", "high", "low", "close"]]
    return bool(
        prices.notna().all().all()
        & frame["volume"].notna().all()
        & frame["symbol"].notna().all()
        & (prices > 0).all().all()
        & (frame["high"] >= prices.max(axis=1)).all()
        & (frame["low"] <= prices.min(axis=1)).all()
        & (frame["volume"] >= 0).all()
        & (frame["ts"].dt.second == 0).all()
        & (frame["ts"].dt.dayofweek < 5).all()
        & ~frame.duplicated(["symbol", "ts"]).any()
    )
