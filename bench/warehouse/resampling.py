"""Ten million bars of one minute made into bars of 5 and 15 minutes, an hour and a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pandas as pd
import polars as pl

from bench.figures import Figure, at_most
from bench.minute_sample import minute_table
from bench.timing import in_turns, seconds
from warehouse.market.connection import OFFLINE
from warehouse.market.resample import resampled

SYMBOLS, SESSIONS = 100, 257  # 10,005,000 bars
SIZES = ("5m", "15m", "1h")
AGGREGATES = (
    pl.col("open").first(),
    pl.col("high").max(),
    pl.col("low").min(),
    pl.col("close").last(),
    pl.col("volume").sum(),
)
PANDAS = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def measure() -> Iterator[Figure]:
    """Build all four sizes, as the warehouse does, beside polars and pandas on the same rows.

    polars is given sorted rows and its quickest way, `group_by_dynamic`; once each size from the
    minutes, once each from the size below as the warehouse does it. Neither rival knows half-days,
    the opening or minutes outside regular hours. pandas makes each size from the one below too.
    """
    table = minute_table(SYMBOLS, SESSIONS)
    connection = duckdb.connect(config=dict(OFFLINE))
    connection.register("given", table)
    connection.execute("CREATE TABLE bars_minute AS SELECT * FROM given")
    connection.unregister("given")
    frame: Any = pl.from_arrow(table)

    def ours() -> None:
        resampled(connection, "bars_minute", "1d", "*")

    direct = in_turns(ours, lambda: _polars(frame, False), 3).medians
    chained = in_turns(ours, lambda: _polars(frame, True), 3).medians
    small: pd.DataFrame = table.select(["symbol", "ts", *PANDAS]).to_pandas()
    del table
    one = seconds(lambda: _pandas(small))
    connection.close()
    limit = "the limit of the issue"
    yield Figure("warehouse.resample", direct[0], "s", limit, 6.0, at_most(1))
    text = "polars group_by_dynamic, each size from 1m"
    yield Figure("warehouse.resample_polars", direct[0], "s", text, direct[1], at_most(1.3))
    text = "polars group_by_dynamic, each size from the one below"
    yield Figure("warehouse.resample_chained", chained[0], "s", text, chained[1], at_most(1.3))
    text = "pandas groupby, each size from the one below, bars in memory"
    yield Figure("warehouse.resample_pandas", chained[0], "s", text, one, at_most(1))


def _polars(frame: pl.DataFrame, chained: bool) -> None:
    rows = frame
    for size in SIZES:
        built = rows.group_by_dynamic("ts", every=size, group_by=["symbol", "session"]).agg(
            *AGGREGATES
        )
        rows = built if chained else frame
    rows.group_by("symbol", "session", maintain_order=True).agg(*AGGREGATES)


def _pandas(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame
    for width in ("5min", "15min", "1h", "1D"):
        keys = [rows["symbol"], rows["ts"].dt.floor(width)]
        rows = rows.drop(columns=["symbol", "ts"]).groupby(keys, sort=False).agg(PANDAS)
        rows = rows.reset_index()
    return rows
