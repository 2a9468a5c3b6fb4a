"""What the daily features cost against the way they would be written in a notebook."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.figures import Figure, at_most
from bench.sample import sample_bars
from bench.timing import in_turns
from models.features.daily import FEATURES, LEVELS, RANKED, RETURN_WINDOWS, daily_features

REPETITIONS = 3


def measure() -> Iterator[Figure]:
    """Compute every feature of 20 symbols over 33 years; the rival gives the same numbers.

    The rival is one groupby("symbol").apply for the windows of a symbol and a groupby("session")
    for the ranks. Raises RuntimeError when the numbers differ.
    """
    bars = sample_bars()
    _require_equal(daily_features(bars), by_groups(bars))
    pair = in_turns(lambda: daily_features(bars), lambda: by_groups(bars), REPETITIONS, warm_ups=0)
    taken, grouped = pair.medians
    rival = "pandas groupby-apply, same numbers"
    yield Figure("models.daily_features", taken, "s", rival, grouped, at_most(0.5))


def by_groups(bars: pd.DataFrame) -> pd.DataFrame:
    """Return FEATURES by (session, symbol), for bars without gaps, symbol by symbol."""
    long = bars[["symbol", "session", "close"]].sort_values(["symbol", "session"])
    long["ret"] = long.groupby("symbol")["close"].transform(_log_returns)
    market = long.groupby("session")["ret"].mean()
    windows = long.groupby("symbol")[["session", "close", "ret"]].apply(
        lambda group: _windows(group.set_index("session"), market)
    )
    raw = windows.dropna().reset_index().set_index(["session", "symbol"]).sort_index()
    ranks = raw[list(RANKED)].groupby(level="session").rank()
    others = raw.groupby(level="session")["return_1"].transform("size") - 1
    ranks = (ranks - 1).div(others, axis=0) - 0.5
    return pd.concat([ranks, raw[list(LEVELS)]], axis=1)[list(FEATURES)]


def _log_returns(close: pd.Series) -> pd.Series:
    return pd.Series(np.log(close), index=close.index).diff()


def _windows(group: pd.DataFrame, market: pd.Series) -> pd.DataFrame:
    close, ret = group["close"], group["ret"]
    logs: pd.Series = pd.Series(np.log(close), index=close.index)
    rolled = close.rolling(20)
    columns = {f"return_{window}": logs.diff(window) for window in RETURN_WINDOWS}
    columns |= {
        "momentum_12_1": logs.shift(21) - logs.shift(252),
        "volatility_21": ret.rolling(21).std(),
        "volatility_63": ret.rolling(63).std(),
        "volatility_ratio": ret.rolling(10).std() / ret.rolling(63).std(),
        "drawdown_252": close / close.rolling(252).max() - 1,
        "z_score_20": (close - rolled.mean()) / rolled.std(),
        "max_return_21": ret.rolling(21).max(),
        "beta_126": ret.rolling(126).cov(market) / market.rolling(126).var(),
        "market_volatility_21": market.rolling(21).std(),
        "market_return_63": market.rolling(63).sum(),
    }
    return pd.DataFrame(columns)


def _require_equal(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    same = ours.index.equals(theirs.index) and ours.columns.equals(theirs.columns)
    if not same or not np.allclose(ours, theirs, rtol=1e-6, atol=1e-9):
        raise RuntimeError(
            "daily_features and its rival disagree; look into models/features/daily.py"
        )
