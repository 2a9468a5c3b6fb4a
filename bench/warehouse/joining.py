"""A million signals joined to the last of ten million bars that had ended before each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.figures import Figure, at_most
from bench.minute_sample import minute_table
from bench.timing import seconds
from warehouse.market import MarketWarehouse

SYMBOLS, SESSIONS, SIGNALS = 100, 257, 1_000_000


def measure() -> Iterator[Figure]:
    """Join from the file: opening, reading and sorting included, signals in random order.

    pandas has the bars in memory, and sorts both sides as `merge_asof` wants them.
    """
    table = minute_table(SYMBOLS, SESSIONS)
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        warehouse = MarketWarehouse(Path(name) / "market.duckdb")
        with warehouse.store.write() as connection:
            connection.register("given", table)
            connection.execute(
                "INSERT INTO bars_minute SELECT *, 'bench', TIMESTAMP '2026-01-05' FROM given"
            )
        bars: pd.DataFrame = table.select(["symbol", "ts", "close"]).to_pandas()
        bars["ts"] = bars["ts"].dt.tz_localize("UTC")
        signals = _signals(bars)
        del table
        warehouse.minutes.last_complete(signals.head(1000))
        joined = min(seconds(lambda: warehouse.minutes.last_complete(signals)) for _ in range(3))
        rival = seconds(lambda: _pandas(signals, bars))
    limit = "the limit of the issue"
    yield Figure("warehouse.asof_join", joined, "s", limit, 2.0, at_most(1))
    text = "pandas sort and merge_asof, bars in memory"
    yield Figure("warehouse.asof_join_pandas", joined, "s", text, rival, at_most(1))


def _signals(bars: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    chosen = bars.iloc[rng.integers(0, len(bars), SIGNALS)]
    late = pd.to_timedelta(rng.integers(0, 86_400, SIGNALS), unit="s")
    columns: dict[str, Any] = {"symbol": chosen["symbol"].to_numpy(), "at": chosen["ts"] + late}
    return pd.DataFrame(columns).reset_index(drop=True)


def _pandas(signals: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    ended = bars.assign(at=bars["ts"] + pd.Timedelta(minutes=1)).sort_values("at")
    return pd.merge_asof(signals.sort_values("at"), ended, on="at", by="symbol")
