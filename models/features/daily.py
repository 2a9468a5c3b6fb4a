"""Daily features from closes: returns, momentum, volatility, drawdown and beta, as peer ranks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.features.closes import bridge_gaps, close_matrix, log_closes
from models.features.ranks import cross_sectional_rank

RETURN_WINDOWS = (1, 5, 21, 63, 126, 252)
RANKED = (
    *(f"return_{window}" for window in RETURN_WINDOWS),
    "momentum_12_1",
    "volatility_21",
    "volatility_63",
    "volatility_ratio",
    "drawdown_252",
    "z_score_20",
    "max_return_21",
    "beta_126",
)
LEVELS = ("market_volatility_21", "market_return_63")
FEATURES: tuple[str, ...] = (*RANKED, *LEVELS)
# A row needs its own close and the 252 sessions before it.
WARM_UP_SESSIONS = 253


def daily_features(bars: pd.DataFrame) -> pd.DataFrame:
    """Compute FEATURES (float64) for every session and symbol, indexed by (session, symbol).

    Only closes are used, and a row at session t only closes up to and including t. RANKED features
    are ranks among the session's symbols in [-0.5, 0.5]; LEVELS are log returns (and their sample
    standard deviation) of the equal-weight universe, not annualised, the same for all symbols of a
    session. Short gaps are bridged (`bridge_gaps`). Rows without a bar of their own, or still in
    warm-up (WARM_UP_SESSIONS closes), are dropped. Raises InvalidInput as `close_matrix` does.
    """
    closes = close_matrix(bars)
    carried = bridge_gaps(closes)
    returns = log_closes(carried).diff()
    market = returns.mean(axis=1)
    raw = {**_trend(carried), **_risk(returns, market)}
    # A symbol in warm-up must not take a place in the ranks of the others.
    complete = closes.notna()
    for values in raw.values():
        complete &= np.isfinite(values)
    columns = [cross_sectional_rank(raw[name].where(complete)) for name in RANKED]
    levels = [market.rolling(21).std(), market.rolling(63).sum()]
    return _stack(complete, columns, levels)


def _trend(closes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    logs = log_closes(closes)
    features = {f"return_{window}": logs - logs.shift(window) for window in RETURN_WINDOWS}
    # Jegadeesh and Titman (1993): twelve months without the last, which tends to reverse.
    features["momentum_12_1"] = logs.shift(21) - logs.shift(252)
    features["drawdown_252"] = closes / closes.rolling(252).max() - 1.0
    window = closes.rolling(20)
    features["z_score_20"] = (closes - window.mean()) / window.std()
    return features


def _risk(returns: pd.DataFrame, market: pd.Series) -> dict[str, pd.DataFrame]:
    volatility_63 = returns.rolling(63).std()
    return {
        "volatility_21": returns.rolling(21).std(),
        "volatility_63": volatility_63,
        "volatility_ratio": returns.rolling(10).std() / volatility_63,
        "max_return_21": returns.rolling(21).max(),
        "beta_126": _beta(returns, market, 126),
    }


def _beta(returns: pd.DataFrame, market: pd.Series, window: int) -> pd.DataFrame:
    """Slope of each symbol's return on the market's, over `window` sessions (Sharpe 1964)."""
    products = returns.mul(market, axis=0).rolling(window).mean()
    mean = market.rolling(window).mean()
    covariance = products - returns.rolling(window).mean().mul(mean, axis=0)
    variance = (market**2).rolling(window).mean() - mean**2
    return covariance.div(variance, axis=0)


def _stack(
    complete: pd.DataFrame, ranked: list[pd.DataFrame], levels: list[pd.Series]
) -> pd.DataFrame:
    width = complete.shape[1]
    arrays = [frame.to_numpy(dtype=np.float64).ravel() for frame in ranked]
    arrays += [np.repeat(level.to_numpy(dtype=np.float64), width) for level in levels]
    values = np.column_stack(arrays)
    keep = complete.to_numpy(dtype=bool).ravel() & np.isfinite(values).all(axis=1)
    index = pd.MultiIndex.from_product(
        [complete.index, complete.columns], names=["session", "symbol"]
    )
    return pd.DataFrame(values[keep], index=index[keep], columns=pd.Index(FEATURES))
