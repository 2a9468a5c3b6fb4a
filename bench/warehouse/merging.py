"""What it costs to merge the whole history, the first time and again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from bench.figures import Figure, at_most
from bench.sample import sample_bars
from bench.timing import Pair, seconds
from warehouse.market import MarketWarehouse

REPETITIONS = 3
KNOWN_AT = datetime(2023, 1, 3, tzinfo=UTC)
RIVAL = "duckdb INSERT ... SELECT of the same Arrow table, no key"


def measure() -> Iterator[Figure]:
    """Merge 166,000 daily bars into an empty warehouse, then the same bars once more.

    The time runs from the pandas frame: checks, conversion, opening the file, the keyed merge that
    keeps replaced rows, commit and closing. The rival inserts the same rows, already an Arrow
    table, into a table without a key, in a file of its own, opened and closed as well.
    """
    bars = sample_bars()
    table = pa.Table.from_pandas(bars, preserve_index=False)
    first, again = Pair(), Pair()
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        for number in range(REPETITIONS + 1):
            warehouse = MarketWarehouse(Path(name) / f"{number}.duckdb")
            warehouse.check()
            bare = Path(name) / f"bare-{number}.duckdb"
            for pair in (first, again):

                def merge(warehouse: MarketWarehouse = warehouse) -> object:
                    return warehouse.bars.merge_daily(bars, "bench", KNOWN_AT)

                def insert(path: Path = bare) -> None:
                    _insert(path, table)

                pair.candidate.append(seconds(merge))
                pair.rival.append(seconds(insert))
    for label, pair in (("first", first), ("again", again)):
        merged, inserted = Pair(pair.candidate[1:], pair.rival[1:]).medians
        yield Figure(f"warehouse.merge_{label}", merged, "s", RIVAL, inserted, at_most(5.0))


def _insert(path: Path, table: Any) -> None:
    connection = duckdb.connect(str(path))
    connection.execute(
        "CREATE OR REPLACE TABLE bars (symbol VARCHAR, session DATE, open DOUBLE, high DOUBLE, "
        "low DOUBLE, close DOUBLE, volume BIGINT)"
    )
    connection.register("staged", table)
    connection.execute("INSERT INTO bars SELECT * FROM staged")
    connection.close()
