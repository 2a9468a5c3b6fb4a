"""What the quality gate costs beside the merge of the same bars."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from bench.figures import Figure, at_most
from bench.timing import seconds
from models.domain.sessions import sessions_between
from tasks.quality.engine import warm_up
from tasks.quality.gate import Batch, admit_minutes
from warehouse.market import MarketWarehouse

SYMBOLS, ROWS = 20, 1_000_000
NOW = datetime(2024, 1, 2, tzinfo=UTC)


def measure() -> Iterator[Figure]:
    """Pass a million minute bars of 20 symbols through the gate, then merge them.

    The gate's time has the derived columns, the 31 expectations, their results, the scores and the
    look into the quarantine; the import of Great Expectations (7 s a process) is not in it.
    """
    bars = minute_walks()
    warm_up()
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        warehouse = MarketWarehouse(Path(name) / "bars.duckdb")
        warehouse.check()
        batch = Batch("bench", "bench", NOW)
        admit_minutes(warehouse, bars.iloc[:10_000], batch)
        judging = seconds(lambda: admit_minutes(warehouse, bars, batch))
        merging = seconds(lambda: warehouse.minutes.merge(bars, "bench", NOW))
    rival = "MinuteBars.merge of the same million bars, same run"
    yield Figure("warehouse.validate_minutes", judging, "s", rival, merging, at_most(2.0))


def minute_walks() -> pd.DataFrame:
    """Return calm random walks in regular hours; the same in every run."""
    each = ROWS // SYMBOLS
    sessions = sessions_between(date(2023, 1, 3), date(2023, 12, 29))
    ts = np.concatenate([np.arange(390) * 60 + int(day.open.timestamp()) for day in sessions])
    stamps = pd.to_datetime(ts[:each], unit="s", utc=True)
    rng = np.random.default_rng(7)
    parts: list[pd.DataFrame] = []
    for number in range(SYMBOLS):
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.0008, each)))
        opened = np.append(close[:1], close[:-1])
        high, low = np.maximum(opened, close) * 1.0001, np.minimum(opened, close) * 0.9999
        columns = {"symbol": f"S{number:02d}", "ts": stamps, "open": opened, "high": high}
        columns |= {"low": low, "close": close, "volume": rng.integers(1, 1000, each)}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)
