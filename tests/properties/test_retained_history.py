"""What was known of larger bars stays readable when retention drops their minutes."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from models.domain.sessions import sessions_between
from warehouse.market import MarketWarehouse
from warehouse.market.checking import check_market
from warehouse.market.maintenance import retain_market

SESSIONS = sessions_between(date(2023, 11, 22), date(2023, 11, 27))  # the second is a half-day
SIZES = ("5m", "15m", "1h", "1d")
WIDTHS = {"5m": timedelta(minutes=5), "15m": timedelta(minutes=15)}
KEPT_FROM = SESSIONS[-1].date


def _minutes(seed: int) -> pd.DataFrame:
    """All minutes of the sessions, and some before and after their hours."""
    generator, frames = np.random.default_rng(seed), []
    for session in SESSIONS:
        first, last = session.open - timedelta(minutes=3), session.close + timedelta(minutes=3)
        ts = pd.date_range(first, last, freq="1min", inclusive="left")
        price = 50 + generator.integers(0, 200, len(ts)) / 100
        frames.append(
            pd.DataFrame({"symbol": "KO", "ts": ts, "open": price, "high": price + 0.02})
            .assign(low=price - 0.01, close=price + 0.01)
            .assign(volume=generator.integers(0, 900, len(ts)))
        )
    return pd.concat(frames, ignore_index=True)


def _ends(bars: pd.DataFrame, size: str) -> pd.Series:
    """When each bar had ended: at its width's boundary, or the close."""
    closes = {session.date: pd.Timestamp(session.close) for session in SESSIONS}
    close = bars["session"].map(closes)
    if size == "1d":
        return close
    whole = bars["ts"].dt.floor("1h") + timedelta(hours=1)
    end = whole if size == "1h" else bars["ts"] + WIDTHS[size]
    return end.where(end < close, close)


def _seen(store: MarketWarehouse, moments: list[datetime]) -> list[pd.DataFrame]:
    """The larger bars that had ended by each moment, as they were known then."""
    found = []
    for at in moments:
        for size in SIZES:
            bars = store.minutes.bars(["KO"], size, as_of=at)
            found.append(bars[_ends(bars, size) <= at].reset_index(drop=True))
    return found


learnt = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(1, 60), st.booleans()), min_size=1, max_size=3
)


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**16), live=st.sampled_from([7, 35, 400]), later=learnt)
def test_retention_changes_nothing_of_what_was_known(seed, live, later) -> None:
    whole = _minutes(seed)
    with tempfile.TemporaryDirectory() as folder:
        store = MarketWarehouse(Path(folder) / "w.duckdb", deadline=2.0)
        moments: list[datetime] = []
        for begin in range(0, len(whole), 300):  # as they come in: some minutes late
            part = whole.iloc[begin : begin + 300 - live % 3]
            moments.append(part["ts"].max().to_pydatetime() + timedelta(minutes=live))
            store.minutes.merge(part, "x", moments[-1])
        at = max(*moments, SESSIONS[-1].close)
        for number, hours, is_revision in later:
            at += timedelta(hours=hours)
            rows = whole.sample(frac=0.02, random_state=number)
            if is_revision:
                rows = rows.assign(volume=rows["volume"] + number)
            store.minutes.merge(rows, "x", at)
            moments.append(at)
        asked = [moments[0] - timedelta(seconds=1), *moments[:2], *moments[-2:]]
        asked += [SESSIONS[0].open + timedelta(minutes=40), SESSIONS[1].close]
        before = _seen(store, asked)
        assert len(before[-1])
        now = store.minutes.bars(timeframe="1h")
        retain_market(store.store, KEPT_FROM, None, True, lambda _text: None)
        assert store.minutes.bars(last=SESSIONS[1].date).empty
        for was, known in zip(before, _seen(store, asked), strict=True):
            pd.testing.assert_frame_equal(known, was, check_exact=True)
        pd.testing.assert_frame_equal(store.minutes.bars(timeframe="1h"), now)
        assert check_market(store.store, lambda _text: None).problems == ()


def test_dropped_minutes_that_come_again_are_what_is_known_from_then_on(tmp_path: Path) -> None:
    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    whole = _minutes(1)
    first, again, third = (datetime(2024, 1, day, tzinfo=UTC) for day in (2, 3, 4))
    store.minutes.merge(whole, "x", first)
    known = store.minutes.bars(timeframe="15m", as_of=first)
    retain_market(store.store, KEPT_FROM, None, True, lambda _text: None)
    store.minutes.merge(whole.assign(volume=7), "x", again)
    fresh = store.minutes.bars(timeframe="15m", as_of=again)
    assert set(fresh["volume"]) == {105}
    retain_market(store.store, KEPT_FROM, None, True, lambda _text: None)
    for as_of, expected in ((first, known), (again, fresh), (third, fresh)):
        found = store.minutes.bars(timeframe="15m", as_of=as_of)
        pd.testing.assert_frame_equal(found, expected)
    assert store.minutes.bars(timeframe="15m", as_of=first - timedelta(days=1)).empty
    assert len(store.minutes.bars(timeframe="1d", last=SESSIONS[0].date, as_of=third)) == 1
