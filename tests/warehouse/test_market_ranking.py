"""Two sources for one bar: the better one's stays, and the merge says so."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from warehouse.market import MarketWarehouse
from warehouse.market.bars import MergeResult

NOW = datetime(2024, 1, 5, 22, 0, tzinfo=UTC)


@pytest.fixture
def merges(tmp_path):
    """Return how each table merges one bar with a volume from a source."""
    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    prices = {"open": 1.0, "high": 1.5, "low": 0.5, "close": 1.25}
    later = iter(range(100))

    def daily(source, volume):
        row = {"symbol": "KO", "session": date(2024, 1, 3), **prices, "volume": volume}
        moment = NOW + timedelta(seconds=next(later))
        return store.bars.merge_daily(pd.DataFrame([row]), source, moment)

    def minute(source, volume):
        ts = pd.Timestamp("2024-01-03 14:30", tz="UTC")
        row = {"symbol": "KO", "ts": ts, **prices, "volume": volume}
        moment = NOW + timedelta(seconds=next(later))
        return store.minutes.merge(pd.DataFrame([row]), source, moment)

    return {"daily": daily, "minute": minute}


@pytest.mark.parametrize("table", ["daily", "minute"])
def test_a_lower_source_never_replaces_a_better_one(merges, table):
    merge = merges[table]
    added, changed = MergeResult(1, 0, 0), MergeResult(0, 1, 0)
    unchanged, kept = MergeResult(0, 0, 1), MergeResult(0, 0, 0, kept=1)
    assert merge("sample", 1) == added
    assert merge("lean", 2) == changed
    assert merge("sample", 3) == kept
    assert merge("file", 4) == changed, "files are of one rank: the newer knowledge counts"
    assert merge("ibkr", 5) == changed
    assert merge("file", 6) == merge("sample", 7) == kept
    assert merge("file", 5) == unchanged, "it agrees"
    assert merge("ibkr", 8) == changed, "the broker revises its own"


@pytest.mark.parametrize("table", ["daily", "minute"])
def test_a_better_source_stands_whenever_the_lower_one_was_learnt(tmp_path, table):
    store = MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)
    early, between, late = NOW, NOW + timedelta(days=1), NOW + timedelta(days=2)
    daily = table == "daily"
    ts = pd.Timestamp("2024-01-03 14:30", tz="UTC")
    key = {"session": date(2024, 1, 3)} if daily else {"ts": ts}

    def merge(source, close, moment):
        row = {"symbol": "KO", **key, "open": 1.0, "high": 2.0, "low": 0.5, "close": close}
        frame = pd.DataFrame([row | {"volume": 1}])
        if daily:
            return store.bars.merge_daily(frame, source, moment)
        return store.minutes.merge(frame, source, moment)

    assert merge("sample", 1.25, late) == MergeResult(1, 0, 0)
    assert merge("ibkr", 1.5, early) == MergeResult(0, 1, 0)
    for moment in (early, between, late, None):
        found = store.bars.daily(as_of=moment) if daily else store.minutes.bars(as_of=moment)
        assert found["close"].tolist() == [1.5]
    old = store.bars.history() if daily else store.minutes.history()
    assert old["source"].tolist() == ["sample"], "nothing is forgotten"
    assert merge("sample", 1.25, late) == MergeResult(0, 0, 0, kept=1)
    with pytest.raises(InvalidInput, match="learnt later"):
        merge("ibkr", 1.75, early - timedelta(days=1))
    assert store.bars.last_sessions(without="ibkr") == {}
