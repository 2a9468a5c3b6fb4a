"""Larger bars against a plain reckoning, on made-up gaps and on real minutes."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.domain.sessions import EXCHANGE_TZ, session_on
from warehouse.market import MarketWarehouse

NOW = datetime(2024, 1, 5, 22, 0, tzinfo=UTC)
MINUTES = {"5m": 5, "15m": 15, "1h": 60, "1d": None}
FIGURES = ["open", "high", "low", "close", "volume"]


def reckoned(minutes: pd.DataFrame, size: str) -> list[tuple]:
    """Walk the minutes one by one, as the convention is told in words."""
    found: dict[tuple, list] = {}
    for row in minutes.sort_values(["symbol", "ts"]).itertuples():
        session = session_on(row.ts.tz_convert(EXCHANGE_TZ).date())
        if not session.contains(row.ts):
            continue
        local = row.ts.tz_convert(EXCHANGE_TZ)
        step = MINUTES[size]
        start = session.open
        if step is not None:
            since = local.hour * 60 + local.minute
            start = max(start, (local - timedelta(minutes=since % step)).astimezone(UTC))
        bar = found.setdefault((row.symbol, start), [row.open, row.high, row.low, row.close, 0])
        bar[1], bar[2], bar[3] = max(bar[1], row.high), min(bar[2], row.low), row.close
        bar[4] += row.volume
    return [(*key, *bar) for key, bar in found.items()]


def built(warehouse: MarketWarehouse, size: str) -> list[tuple]:
    frame = warehouse.minutes.bars(timeframe=size)
    return [tuple(row) for row in frame[["symbol", "ts", *FIGURES]].itertuples(index=False)]


def test_gaps_half_days_and_minutes_outside_the_session(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    parts = []
    for day in (date(2022, 11, 4), date(2022, 11, 7), date(2022, 11, 25)):
        session = session_on(day)
        ts = pd.date_range(session.open - timedelta(minutes=40), periods=500, freq="1min")
        price = np.round(rng.uniform(9, 11, (2, 500)), 2)
        part = pd.DataFrame({"symbol": "KO", "ts": ts, "open": price[0], "close": price[1]})
        part["high"], part["low"] = price.max(axis=0) + 0.01, price.min(axis=0) - 0.01
        parts.append(part.assign(volume=rng.integers(0, 99, 500))[rng.random(500) < 0.5])
    given = pd.concat(parts)
    warehouse = MarketWarehouse(tmp_path / "warehouse.duckdb")
    for turn in range(3):  # bit by bit, so that sessions are built again
        warehouse.minutes.merge(given.iloc[turn::3], "x", NOW)
    for size in MINUTES:
        assert built(warehouse, size) == reckoned(given, size), size
    hours = warehouse.minutes.bars(timeframe="1h", first=date(2022, 11, 25))["ts"]
    local = [stamp.tz_convert(EXCHANGE_TZ).strftime("%H:%M") for stamp in hours]
    assert local == ["09:30", "10:00", "11:00", "12:00"]


def test_real_minutes_are_aggregated_alike(tmp_path: Path) -> None:
    folder = os.environ.get("ROBO_TEST_DATA")
    if not folder:
        pytest.skip("ROBO_TEST_DATA names no folder with us_equity_1min.parquet")
    given = pd.read_parquet(Path(folder) / "us_equity_1min.parquet")
    given["ts"] = given.pop("ts_ny").dt.tz_localize(EXCHANGE_TZ)
    given = given[["symbol", "ts", *FIGURES]].iloc[:6000]
    warehouse = MarketWarehouse(tmp_path / "warehouse.duckdb")
    assert warehouse.minutes.merge(given, "lean", NOW).added == len(given)
    for size in MINUTES:
        assert built(warehouse, size) == reckoned(given, size), size
