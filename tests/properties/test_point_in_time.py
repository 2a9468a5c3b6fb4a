"""What was known at a moment stays what it was, whatever is learnt later."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.sessions import session_dates
from models.features.daily import WARM_UP_SESSIONS, daily_features
from warehouse.market import MarketWarehouse

SESSIONS = session_dates(date(2019, 1, 2), date(2020, 2, 28))[: WARM_UP_SESSIONS + 6]
SYMBOLS = ("A", "B", "C")
LEARNT = datetime(2020, 3, 1, tzinfo=UTC)


def _bars(seed: int, sessions: tuple[date, ...]) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frames = []
    for symbol in SYMBOLS:
        close = 50.0 * np.exp(np.cumsum(generator.normal(0, 0.02, len(sessions))))
        prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
        volume = generator.integers(100, 900, len(sessions))
        frames.append(
            pd.DataFrame({"symbol": symbol, "session": sessions, **prices, "volume": volume})
        )
    return pd.concat(frames, ignore_index=True)


def _view(store: MarketWarehouse) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features, and bars, as they were known at LEARNT on the last session but three."""
    today = SESSIONS[-4]
    bars = store.bars.adjusted(last=today, on=today, as_of=LEARNT)
    return daily_features(bars), store.bars.daily(as_of=LEARNT)


change = st.tuples(
    st.sampled_from(["revise", "late", "split", "dividend", "withdraw", "basis"]),
    st.integers(0, 2**16),
    st.integers(1, 400),
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**16), changes=st.lists(change, min_size=1, max_size=4))
def test_features_of_a_moment_do_not_change_when_more_is_learnt(seed, changes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = MarketWarehouse(Path(folder) / "w.duckdb", deadline=2.0)
        store.bars.merge_daily(_bars(seed, SESSIONS[:-3]), "file", LEARNT - timedelta(days=2))
        split = CorporateAction("A", SESSIONS[-5], ActionKind.SPLIT, 2.0)
        store.actions.merge([split], "file", LEARNT - timedelta(days=1))
        before = _view(store)
        assert len(before[0])
        at = LEARNT
        for kind, number, hours in changes:
            at += timedelta(hours=hours)
            _learn(store, kind, number, at)
        after = _view(store)
        pd.testing.assert_frame_equal(after[0], before[0], check_exact=True)
        pd.testing.assert_frame_equal(after[1], before[1], check_exact=True)
        if any(kind == "revise" for kind, _, _ in changes):
            assert not store.bars.daily(last=SESSIONS[-4]).equals(before[1])


def _learn(store: MarketWarehouse, kind: str, number: int, at: datetime) -> None:
    symbol = SYMBOLS[number % len(SYMBOLS)]
    ex_date = SESSIONS[-(number % 40) - 1]
    if kind == "revise":
        rows = _bars(number + 70_000, SESSIONS[:-3]).sample(frac=0.3, random_state=number)
        store.bars.merge_daily(rows, "other", at)
    elif kind == "late":
        store.bars.merge_daily(_bars(number, SESSIONS[-3:]), "file", at)
    elif kind == "withdraw":
        store.actions.replace(["A"], [], "file", at)
    elif kind == "basis":
        store.actions.set_basis({"A": ex_date}, "file", at)
    else:
        action = CorporateAction(symbol, ex_date, ActionKind(kind), 1.0 + number % 7)
        store.actions.merge([action], "file", at)


def test_minutes_and_seconds_are_read_as_they_were_known(tmp_path) -> None:
    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    start = datetime(2020, 2, 27, 14, 30, tzinfo=UTC)
    row = {"symbol": "A", "open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0, "volume": 5}
    bar = pd.DataFrame([{"ts": pd.Timestamp(start), **row}])
    later = LEARNT + timedelta(hours=1)
    for repository in (store.seconds, store.minutes):
        repository.merge(bar, "ibkr", LEARNT)
        repository.merge(bar.assign(close=1.5), "ibkr", later)
    seconds = [store.seconds.bars(None, start, start + timedelta(1), at) for at in (LEARNT, later)]
    minutes = [store.minutes.bars(None, "1m", as_of=at) for at in (LEARNT, later)]
    assert [frame["close"].item() for frame in seconds] == [2.0, 1.5]
    assert [frame["close"].item() for frame in minutes] == [2.0, 1.5]
    assert store.seconds.bars(None, start, start + timedelta(1), LEARNT - timedelta(1)).empty
