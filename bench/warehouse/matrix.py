"""The closes of 500 symbols over five years as a matrix, from the file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from bench.figures import Figure, at_most
from bench.timing import in_turns
from models.domain.sessions import session_dates
from warehouse.market import MarketWarehouse

SYMBOLS = 500


def measure() -> Iterator[Figure]:
    """Read the matrix, the file opened and closed each time, beside pandas' pivot of the frame."""
    days = session_dates(date(2020, 1, 2), date(2024, 12, 31))
    count = SYMBOLS * len(days)
    close = np.round(np.random.default_rng(5).uniform(10, 200, count), 2)
    bars = pd.DataFrame(
        {
            "symbol": np.repeat([f"S{number:04d}" for number in range(SYMBOLS)], len(days)),
            "session": np.tile(np.array(days, dtype=object), SYMBOLS),
            "open": close,
            "high": close + 0.5,
            "low": close - 0.5,
            "close": close,
            "volume": 1000,
        }
    )
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        warehouse = MarketWarehouse(Path(name) / "market.duckdb")
        warehouse.bars.merge_daily(bars, "bench", datetime(2025, 1, 3, tzinfo=UTC))
        pair = in_turns(
            warehouse.bars.matrix,
            lambda: bars.pivot_table(index="session", columns="symbol", values="close"),
            5,
        )
    read, pivot = pair.medians
    yield Figure("warehouse.matrix", read, "s", "the limit of the issue", 0.5, at_most(1))
    yield Figure("warehouse.matrix_pivot", read, "s", "pandas pivot_table", pivot, at_most(1))
