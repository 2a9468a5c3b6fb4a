"""The sample that an installed package ships, as a Bars frame: real closes, made-up ranges."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from gateway.market.closes import sample_path


@lru_cache(maxsize=1)
def sample_bars() -> pd.DataFrame:
    """Return the daily bars of 20 companies, 1990 to 2022: about 166,000, by session and symbol.

    Ranges and volumes are drawn from a fixed seed. Not to be changed in place.
    """
    wide = pd.read_csv(sample_path(), index_col=0, parse_dates=True)
    wide.index = pd.Index([stamp.date() for stamp in wide.index], name="session")
    wide.columns.name = "symbol"
    bars = wide.stack().reset_index().rename(columns={0: "close"})
    rng = np.random.default_rng(7)
    bars["open"] = bars["close"] * np.exp(rng.normal(0, 0.005, len(bars)))
    bars["high"] = bars[["open", "close"]].max(axis=1) * 1.004
    bars["low"] = bars[["open", "close"]].min(axis=1) * 0.996
    bars["volume"] = rng.integers(1_000_000, 9_000_000, len(bars))
    return bars[["symbol", "session", "open", "high", "low", "close", "volume"]]
