"""Minute bars: what is merged, revised, refused and read back at a moment of the past."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.domain.sessions import session_on
from warehouse.market import MarketWarehouse, minutes
from warehouse.market.bars import MergeResult
from warehouse.market.minute_rows import sift_minutes

NOW = datetime(2024, 1, 5, 22, 0, tzinfo=UTC)
DAY = date(2024, 1, 3)


@pytest.fixture
def warehouse(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "warehouse.duckdb", deadline=5)


def minute_bars(*symbols: str, days: tuple[date, ...] = (DAY,), seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frames = []
    for symbol in symbols:
        for day in days:
            session = session_on(day)
            ts = pd.date_range(session.open, session.close, freq="1min", inclusive="left")
            price = 50 + np.cumsum(rng.normal(0, 0.02, len(ts) + 1)).round(2)
            opened, close = price[:-1], price[1:]
            frame = pd.DataFrame({"symbol": symbol, "ts": ts, "open": opened})
            frame["high"] = np.maximum(opened, close) + 0.01
            frame["low"] = np.minimum(opened, close) - 0.01
            frame["close"] = close
            frame["volume"] = rng.integers(0, 900, len(ts))
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def test_minutes_come_back_exactly_sorted_and_dated(warehouse: MarketWarehouse) -> None:
    given = minute_bars("AAPL", "KO")
    shuffled = given.sample(frac=1, random_state=3)
    assert warehouse.minutes.merge(shuffled, "gateway", NOW) == MergeResult(780, 0, 0)
    found = warehouse.minutes.bars()
    assert set(found.pop("session")) == {DAY}
    pd.testing.assert_frame_equal(found, given.astype({"ts": found["ts"].dtype}), check_dtype=False)
    assert str(found["ts"].dt.tz) == "UTC"
    again = warehouse.minutes.merge(shuffled, "elsewhere", NOW + timedelta(days=1))
    assert again == MergeResult(0, 0, 780)
    assert len(warehouse.minutes.history()) == 0


def test_as_of_reads_what_was_known_then(warehouse: MarketWarehouse) -> None:
    first = minute_bars("KO")
    warehouse.minutes.merge(first, "gateway", NOW)
    revised = first.iloc[100:101].assign(close=lambda f: f["high"], volume=7)
    later = NOW + timedelta(hours=1)
    more = minute_bars("KO", days=(date(2024, 1, 4),))
    result = warehouse.minutes.merge(pd.concat([revised, more]), "vendor", later)
    assert result == MergeResult(390, 1, 0)
    read = warehouse.minutes.bars
    assert len(read(as_of=NOW - timedelta(seconds=1))) == 0
    then = read(as_of=NOW)
    assert then["close"].tolist() == first["close"].tolist()
    now = read(last=DAY)
    assert now.loc[100, "volume"] == 7 != then.loc[100, "volume"]
    assert len(read(as_of=later)) == len(read()) == 780
    for size in ("5m", "1d"):
        assert read(timeframe=size, as_of=NOW)["volume"].sum() == first["volume"].sum()
        pd.testing.assert_frame_equal(read(timeframe=size, as_of=later), read(timeframe=size))
    (old,) = warehouse.minutes.history().to_dict("records")
    assert (old["source"], old["known_at"], old["replaced_at"]) == ("gateway", NOW, later)


def test_a_revision_told_with_an_earlier_moment_is_refused(warehouse: MarketWarehouse) -> None:
    first = minute_bars("KO").head(1)
    warehouse.minutes.merge(first, "gateway", NOW)
    before = NOW - timedelta(days=9)
    with pytest.raises(InvalidInput, match=r"learnt later.*--known-at"):
        warehouse.minutes.merge(first.assign(volume=3), "file", before)
    assert warehouse.minutes.merge(first, "file", before).unchanged == 1
    assert warehouse.minutes.bars(as_of=NOW)["volume"].tolist() == first["volume"].tolist()
    assert len(warehouse.minutes.bars(as_of=NOW - timedelta(days=1))) == 0
    assert warehouse.minutes.merge(first.assign(volume=3), "gateway", NOW).changed == 1


def test_parts_split_between_sessions_and_count_as_one(
    warehouse: MarketWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minutes, "PART", 500)
    given = minute_bars("AAPL", "KO", days=(DAY, date(2024, 1, 4)))
    assert warehouse.minutes.merge(given, "x", NOW) == MergeResult(1560, 0, 0)
    assert warehouse.minutes.bars(timeframe="1d")["volume"].sum() == given["volume"].sum()
    assert warehouse.minutes.coverage()["count"].tolist() == [390] * 4


BAD = {
    "missing": ({"close": np.nan}, "a value is missing"),
    "negative": ({"low": -1.0}, "not finite and above zero"),
    "infinite": ({"high": np.inf}, "not finite and above zero"),
    "huge": ({"open": 2e7, "high": 2e7}, "below 1e7 USD"),
    "crossed": ({"high": 1.0}, "does not enclose"),
    "volume": ({"volume": -1}, "volume"),
    "part of a share": ({"volume": 5.5}, "not whole"),
    "seconds": ({"ts": pd.Timestamp("2024-01-03 15:00:30", tz="UTC")}, "whole minute"),
    "sunday": ({"ts": pd.Timestamp("2024-01-07 15:00", tz="UTC")}, "no session"),
    "christmas": ({"ts": pd.Timestamp("2023-12-25 15:00", tz="UTC")}, "no session"),
    "ancient": ({"ts": pd.Timestamp("1962-01-03 15:00", tz="UTC")}, "calendar does not reach"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_row_that_is_no_bar_is_sifted_out_with_its_reason(
    warehouse: MarketWarehouse, case: str
) -> None:
    change, says = BAD[case]
    frame = minute_bars("KO").astype({"volume": "float64"})
    for name, value in change.items():
        frame.loc[5, name] = value
    sifted = sift_minutes(frame.sample(frac=1, random_state=1))
    assert sifted.rows.num_rows == 389
    assert sifted.rejected.index.tolist() == [5]
    assert says in sifted.reasons[0]
    with pytest.raises(InvalidInput, match=says):
        warehouse.minutes.merge(frame, "x", NOW)
    assert len(warehouse.minutes.bars()) == 0
    assert warehouse.minutes.merge_sifted(sifted.rows, "x", NOW).added == 389


def test_a_minute_belongs_to_the_new_york_date_that_begins_at_midnight() -> None:
    frame = minute_bars("KO").head(2)
    midnight = pd.Timestamp("2024-07-03", tz="America/New_York").tz_convert("UTC")
    frame["ts"] = [midnight, midnight - pd.Timedelta(minutes=1)]
    days = sift_minutes(frame).rows.column("session").to_pylist()
    assert days == [date(2024, 7, 2), date(2024, 7, 3)]


def test_equal_rows_are_taken_once_and_contradicting_ones_not_at_all() -> None:
    frame = minute_bars("KO").head(4)
    equal = pd.concat([frame, frame.head(1)], ignore_index=True)
    assert sift_minutes(equal).rows.num_rows == 4
    assert sift_minutes(equal).reasons == ()
    other = pd.concat([equal, frame.head(1).assign(volume=1_000)], ignore_index=True)
    sifted = sift_minutes(other)
    assert sorted(sifted.rejected.index) == [0, 4, 5]
    assert sifted.rows.num_rows == 3
    assert set(sifted.reasons) == {"another row has the same symbol and start"}


def test_frames_of_another_kind_are_refused() -> None:
    good = minute_bars("KO")
    cases = [
        (good.drop(columns="low"), "lack low"),
        (good.assign(ts=good["ts"].dt.tz_localize(None)), "no timezone"),
        (good.assign(close="ten"), "wrong kind"),
    ]
    for frame, says in cases:
        with pytest.raises(InvalidInput, match=says):
            sift_minutes(frame)


def test_an_empty_batch_and_an_unknown_timeframe(warehouse: MarketWarehouse) -> None:
    assert warehouse.minutes.merge(minute_bars("KO").head(0), "x", NOW) == MergeResult(0, 0, 0)
    with pytest.raises(InvalidInput, match="choose one of 1m, 5m"):
        warehouse.minutes.bars(timeframe="2m")
