"""Made-up one-minute bars on the real calendar: seeded walks in cents, half-days included."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.domain.sessions import TradingSession, sessions_between

EPOCH = date(1970, 1, 1)


def minute_table(symbols: int, sessions: int, seed: int = 7) -> Any:
    """Return an Arrow table of bars_minute's columns up to volume, sorted by symbol and ts."""
    hours = sessions_between(date(2021, 1, 4), date(2025, 12, 31))[:sessions]
    starts = np.concatenate([_starts(one) for one in hours])
    days = np.concatenate([np.full(len(_starts(one)), (one.date - EPOCH).days) for one in hours])
    count, rng = len(starts), np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 4e-4, (symbols, count)), axis=1)
    close = np.round(50 * np.exp(walk), 2).ravel()
    opened = np.round(close * (1 + rng.normal(0, 2e-4, close.size)), 2)
    reach = rng.integers(0, 4, (2, close.size)) * 0.01
    names = pa.array([f"S{number:04d}" for number in range(symbols)])
    codes = np.repeat(np.arange(symbols, dtype=np.int32), count)
    moments = pa.array(np.tile(starts, symbols) * 1_000_000, pa.int64())
    return pa.table(
        {
            "symbol": pa.DictionaryArray.from_arrays(codes, names).cast(pa.string()),
            "ts": moments.cast(pa.timestamp("us")),
            "session": pa.array(np.tile(days.astype(np.int32), symbols)).cast(pa.date32()),
            "open": opened,
            "high": np.round(np.maximum(opened, close) + reach[0], 2),
            "low": np.round(np.minimum(opened, close) - reach[1], 2),
            "close": close,
            "volume": rng.integers(0, 50_000, close.size),
        }
    )


def minute_frame(symbols: int, sessions: int) -> pd.DataFrame:
    """Return the same bars as a source hands them over: a frame with ts in UTC, no session."""
    frame: pd.DataFrame = minute_table(symbols, sessions).drop(["session"]).to_pandas()
    return frame.assign(ts=frame["ts"].dt.tz_localize("UTC"))


def _starts(session: TradingSession) -> np.ndarray:
    return np.arange(int(session.open.timestamp()), int(session.close.timestamp()), 60)
