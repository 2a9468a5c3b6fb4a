"""Bars within the day, at every size, and the joins on them stay as they were known."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.domain.sessions import session_on
from warehouse.market import MarketWarehouse

DAYS = (date(2022, 11, 4), date(2022, 11, 7), date(2022, 11, 25))  # clocks change; a half-day
SIZES = ("1m", "5m", "15m", "1h", "1d")
SOURCES = ("ibkr", "file", "other", "sample")
LEARNT = datetime(2022, 11, 26, tzinfo=UTC)
RANKS = {"ibkr": 3, "sample": 1}  # a file has 2


def _minutes(seed: int, share: float) -> pd.DataFrame:
    """Return some minutes of two symbols, of before and after regular hours, too."""
    generator = np.random.default_rng(seed)
    starts = [
        stamp
        for day in DAYS
        for stamp in pd.date_range(
            session_on(day).open - timedelta(minutes=9), periods=400, freq="1min"
        )
    ]
    parts = []
    for symbol in ("KO", "PEP"):
        ts = pd.DatetimeIndex(starts)[generator.random(len(starts)) < share]
        price = np.round(generator.uniform(50, 51, (2, len(ts))), 2)
        part = pd.DataFrame({"symbol": symbol, "ts": ts, "open": price[0], "close": price[1]})
        part["high"], part["low"] = price.max(axis=0), price.min(axis=0)
        parts.append(part.assign(volume=generator.integers(0, 99, len(ts))))
    return pd.concat(parts, ignore_index=True)


def _view(store: MarketWarehouse, at: datetime | None) -> list[pd.DataFrame]:
    moments = pd.DataFrame(
        {
            "symbol": ["KO", "PEP"] * 30,
            "at": [session_on(day).open + timedelta(minutes=13 * n, seconds=1)
                   for day in DAYS for n in range(20)],
        }
    )  # fmt: skip
    found = [store.minutes.bars(timeframe=size, as_of=at) for size in SIZES]
    return [*found, store.minutes.last_complete(moments, "close", at)]


def _reckoned(told: list[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """Return what is known after these merges, row by row, as the rules say it in words."""
    kept: dict[tuple, tuple[int, tuple]] = {}
    for source, frame in told:
        rank = RANKS.get(source, 2)
        for row in frame[["symbol", "ts", "open", "high", "low", "close", "volume"]].itertuples():
            key, values = (row.symbol, row.ts), tuple(row[3:])
            if key not in kept or (kept[key][1] != values and rank >= kept[key][0]):
                kept[key] = (rank, values)
    rows = [(*key, *values) for key, (_, values) in sorted(kept.items())]
    return pd.DataFrame(rows, columns=["symbol", "ts", "open", "high", "low", "close", "volume"])


merges = st.tuples(st.sampled_from(SOURCES), st.integers(0, 2**16), st.sampled_from([0.01, 0.3]))


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(merges, min_size=1, max_size=3))
@example(changes=[("sample", 1, 0.3), ("file", 2, 0.3), ("ibkr", 3, 0.3), ("other", 4, 0.3)])
def test_bars_of_every_size_are_read_as_they_were_known(changes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = MarketWarehouse(Path(folder) / "w.duckdb", deadline=2.0)
        at, told = LEARNT, [("file", _minutes(7, 0.5))]
        store.minutes.merge(told[0][1], "file", at)
        seen = {at: _view(store, at)}
        for source, seed, share in changes:
            at += timedelta(hours=1)
            told.append((source, _minutes(seed, share)))
            store.minutes.merge(told[-1][1], source, at)
            seen[at] = _view(store, None)
        for number, (moment, view) in enumerate(seen.items(), start=1):
            for one, two in zip(view, _view(store, moment), strict=True):
                pd.testing.assert_frame_equal(one, two, check_exact=True)
            plain = view[0].drop(columns="session")
            known = _reckoned(told[:number]).astype({"ts": plain["ts"].dtype})
            pd.testing.assert_frame_equal(plain, known, check_dtype=False, check_exact=True)
        assert all(frame.empty for frame in _view(store, LEARNT - timedelta(seconds=1))[:-1])


def test_seconds_are_read_as_they_were_known(tmp_path) -> None:
    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    start = datetime(2020, 2, 27, 14, 30, tzinfo=UTC)
    row = {"symbol": "A", "open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0, "volume": 5}
    bar = pd.DataFrame([{"ts": pd.Timestamp(start), **row}])
    later = LEARNT + timedelta(hours=1)
    store.seconds.merge(bar, "ibkr", LEARNT)
    store.seconds.merge(bar.assign(close=1.5), "ibkr", later)
    seconds = [store.seconds.bars(None, start, start + timedelta(1), at) for at in (LEARNT, later)]
    assert [frame["close"].item() for frame in seconds] == [2.0, 1.5]
    assert store.seconds.bars(None, start, start + timedelta(1), LEARNT - timedelta(1)).empty
