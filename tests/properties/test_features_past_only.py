"""No feature knows the future: whatever comes after a session changes nothing at or before it."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features.daily import WARM_UP_SESSIONS, daily_features

SESSIONS = WARM_UP_SESSIONS + 20
FIRST = date(2020, 1, 1)


def _bars(seed: int, symbols: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    steps = generator.normal(0.0, 0.02, (SESSIONS, symbols))
    closes = 50.0 * np.exp(np.cumsum(steps, axis=0))
    days = [FIRST + timedelta(days=i) for i in range(SESSIONS)]
    wide = pd.DataFrame(closes, index=pd.Index(days, name="session"))
    wide.columns = pd.Index([f"S{i}" for i in range(symbols)], name="symbol")
    bars = wide.stack().rename("close").reset_index()
    lost = generator.random(len(bars)) < 0.01
    return bars[~lost]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    symbols=st.integers(1, 5),
    cut=st.integers(WARM_UP_SESSIONS - 1, SESSIONS - 2),
    shock=st.floats(0.01, 100.0),
)
def test_truncating_or_altering_the_future_changes_no_past_row(
    seed: int, symbols: int, cut: int, shock: float
) -> None:
    bars = _bars(seed, symbols)
    today = FIRST + timedelta(days=cut)
    past = bars["session"] <= today
    whole = daily_features(bars)
    expected = whole[[day <= today for day in whole.index.get_level_values("session")]]

    truncated = daily_features(bars[past])
    noise = np.random.default_rng(seed + 1).uniform(0.5, 2.0, len(bars)) * shock
    altered = daily_features(bars.assign(close=bars["close"].where(past, bars["close"] * noise)))

    pd.testing.assert_frame_equal(truncated, expected, check_exact=True)
    pd.testing.assert_frame_equal(altered.loc[expected.index], expected, check_exact=True)
    later = whole.index.difference(expected.index)
    if symbols > 1 and len(later):  # the future does matter to its own rows
        assert not altered.reindex(later).equals(whole.loc[later])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([0.25, 2.0, 10.0]))
def test_the_unit_of_a_price_changes_nothing(seed: int, factor: float) -> None:
    bars = _bars(seed, 4)
    split = bars.assign(close=bars["close"] * np.where(bars["symbol"] == "S1", factor, 1.0))
    pd.testing.assert_frame_equal(daily_features(split), daily_features(bars), rtol=1e-7, atol=1e-7)
