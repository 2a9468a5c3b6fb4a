from time import process_time

import numpy as np
import pandas as pd
import pytest

from models.features.closes import CARRY_SESSIONS, close_matrix
from models.features.daily import (
    FEATURES,
    LEVELS,
    RANKED,
    WARM_UP_SESSIONS,
    daily_features,
)


@pytest.fixture(scope="module")
def bars(sample_bars: pd.DataFrame) -> pd.DataFrame:
    """The last 300 sessions of the sample."""
    last = np.sort(sample_bars["session"].unique())[-300:]
    return sample_bars[sample_bars["session"].isin(last)]


def _by_definition(closes: pd.DataFrame) -> pd.DataFrame:
    """Every raw feature of the last session, from its definition, one symbol at a time."""
    returns = np.log(closes).diff()
    market = returns.mean(axis=1).to_numpy()
    rows = {}
    for symbol in closes:
        c, r = closes[symbol].to_numpy(), returns[symbol].to_numpy()
        row = {f"return_{w}": np.log(c[-1] / c[-1 - w]) for w in (1, 5, 21, 63, 126, 252)}
        row["momentum_12_1"] = np.log(c[-22] / c[-253])
        row["volatility_21"] = np.std(r[-21:], ddof=1)
        row["volatility_63"] = np.std(r[-63:], ddof=1)
        row["volatility_ratio"] = np.std(r[-10:], ddof=1) / np.std(r[-63:], ddof=1)
        row["drawdown_252"] = c[-1] / c[-252:].max() - 1
        row["z_score_20"] = (c[-1] - c[-20:].mean()) / np.std(c[-20:], ddof=1)
        row["max_return_21"] = r[-21:].max()
        row["beta_126"] = np.polyfit(market[-126:], r[-126:], 1)[0]
        rows[symbol] = row
    return pd.DataFrame(rows).T


def test_the_last_row_is_what_the_definitions_say(bars: pd.DataFrame) -> None:
    closes = close_matrix(bars)
    raw = _by_definition(closes)
    expected = (raw.rank() - 1) / (len(raw) - 1) - 0.5
    got = daily_features(bars).xs(closes.index[-1], level="session")
    np.testing.assert_allclose(got[list(RANKED)], expected[list(RANKED)], atol=1e-12)
    market = np.log(closes).diff().mean(axis=1)
    np.testing.assert_allclose(got["market_volatility_21"], market[-21:].std(), rtol=1e-9)
    np.testing.assert_allclose(got["market_return_63"], market[-63:].sum(), rtol=1e-9)


def test_columns_index_and_range(bars: pd.DataFrame) -> None:
    features = daily_features(bars)
    assert tuple(features.columns) == FEATURES
    assert features.index.names == ["session", "symbol"]
    assert (features.dtypes == np.float64).all()
    assert np.isfinite(features.to_numpy()).all()
    assert features[list(RANKED)].abs().to_numpy().max() == 0.5
    assert (features[list(LEVELS)].groupby(level="session").nunique() == 1).all(axis=None)


def test_warm_up_is_exactly_what_is_promised(bars: pd.DataFrame) -> None:
    sessions = np.sort(bars["session"].unique())
    enough = bars[bars["session"].isin(sessions[-WARM_UP_SESSIONS:])]
    short = bars[bars["session"].isin(sessions[-WARM_UP_SESSIONS + 1 :])]
    assert list(daily_features(enough).index.unique("session")) == [sessions[-1]]
    assert daily_features(short).empty


def test_a_short_history_gives_the_same_row_as_the_full_one(
    sample_bars: pd.DataFrame, sample_features: pd.DataFrame, bars: pd.DataFrame
) -> None:
    last = sample_bars["session"].max()
    full, short = sample_features.xs(last), daily_features(bars).xs(last)
    pd.testing.assert_frame_equal(full, short, rtol=1e-9, atol=1e-9)


def _without(bars: pd.DataFrame, symbol: str, sessions: np.ndarray) -> pd.DataFrame:
    return bars[~((bars["symbol"] == symbol) & bars["session"].isin(sessions))]


def test_one_lost_bar_costs_one_row(bars: pd.DataFrame) -> None:
    sessions = np.sort(bars["session"].unique())
    lost = daily_features(_without(bars, "AAPL", sessions[-10:-9]))
    whole = daily_features(bars)
    assert whole.index.difference(lost.index).tolist() == [(sessions[-10], "AAPL")]


def test_a_gap_too_long_to_bridge_silences_the_symbol(bars: pd.DataFrame) -> None:
    sessions = np.sort(bars["session"].unique())
    gap = sessions[-20 - CARRY_SESSIONS - 1 : -20]
    features = daily_features(_without(bars, "AAPL", gap))
    after = features[features.index.get_level_values("session") > gap[-1]]
    assert "AAPL" not in after.index.unique("symbol")
    assert "MSFT" in after.index.unique("symbol")


def test_a_symbol_in_warm_up_takes_no_place_among_the_ranks(bars: pd.DataFrame) -> None:
    sessions = np.sort(bars["session"].unique())
    features = daily_features(_without(bars, "AAPL", sessions[:100])).xs(sessions[-1])
    assert "AAPL" not in features.index
    peers = np.linspace(-0.5, 0.5, 19)
    for name in RANKED:
        np.testing.assert_allclose(np.sort(features[name]), peers, atol=1e-12)


def test_a_frozen_price_is_left_out_rather_than_divided_by_zero(bars: pd.DataFrame) -> None:
    frozen = bars.assign(close=bars["close"].where(bars["symbol"] != "AAPL", 100.0))
    features = daily_features(frozen)
    assert "AAPL" not in features.index.unique("symbol")
    assert np.isfinite(features.to_numpy()).all()


def test_thirty_two_years_of_twenty_symbols_take_under_two_seconds_of_one_core(
    sample_bars: pd.DataFrame,
) -> None:
    started = process_time()
    features = daily_features(sample_bars)
    assert process_time() - started < 2.0
    assert len(features.index.unique("symbol")) == 20
    assert len(features.index.unique("session")) == 8313 - WARM_UP_SESSIONS + 1
