"""The gate: bad rows go to quarantine with the reason and never into bars; people let them in."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput
from models.domain.sessions import sessions_between
from tasks.quality import BarFacts
from tasks.quality.gate import Admission, Batch, admit_bars, admit_minutes, settle, split_frame
from tasks.quality.releasing import release_rows
from warehouse.market import MarketWarehouse

FIRST, LAST = date(2020, 1, 2), date(2020, 3, 31)
NOW = datetime(2020, 4, 1, 12, 0, tzinfo=UTC)
SPLIT_DAY = date(2020, 2, 10)
Maker = Callable[..., pd.DataFrame]


@pytest.fixture
def warehouse(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "warehouse.duckdb", deadline=5)


@pytest.fixture
def bars(make_bars: Maker) -> pd.DataFrame:
    return make_bars(symbols=["KO", "PEP"], first=FIRST, last=LAST)


def merge(warehouse: MarketWarehouse, frame: pd.DataFrame, run: str = "run") -> Admission:
    facts = BarFacts(sessions_between(FIRST, LAST), splits=split_frame(warehouse, ["KO", "PEP"]))
    batch = Batch("file", run, NOW)
    admitted = admit_bars(warehouse, "bars_daily", frame, facts, batch)
    waiting = warehouse.quarantine.count()
    warehouse.bars.merge_daily(admitted.rows, "file", NOW)
    assert warehouse.quarantine.count() == waiting, "nothing is marked before it is merged"
    assert settle(warehouse, admitted, batch) == len(admitted.passed)
    return admitted


def test_bad_rows_never_reach_the_bars(warehouse: MarketWarehouse, bars: pd.DataFrame) -> None:
    bars.loc[10, "high"] = 0.01
    bars.loc[11, "close"] = float("nan")
    first = merge(warehouse, bars)
    assert (first.quarantined, first.new) == (2, 2)
    assert merge(warehouse, bars).new == 0
    assert len(warehouse.bars.daily()) == len(bars) - 2
    reasons = {row.reason for row in warehouse.quarantine.rows("bars_daily")}
    assert reasons == {"high is below open or close", "close is empty"}
    results = {result.expectation: result for result in warehouse.quality.of_run("run")}
    assert not results["high(high_room)"].passed and results["volume(volume)"].passed
    day = bars.loc[10]
    score = warehouse.scores.of("bars_daily", day["symbol"], day["session"], day["session"])
    assert score["score"].tolist() == [0.0]
    assert warehouse.scores.of("bars_daily")["score"].value_counts()[100.0] == len(bars) - 2


def test_a_missing_day_scores_zero(warehouse: MarketWarehouse, bars: pd.DataFrame) -> None:
    hole = (bars["symbol"] == "KO") & (bars["session"] == date(2020, 1, 14))
    merge(warehouse, bars[~hole])
    scores = warehouse.scores.of("bars_daily", "KO")
    row = scores[scores["session"] == date(2020, 1, 14)].iloc[0]
    assert (row["score"], row["expected"], row["received"]) == (0.0, 1, 0)
    after = scores[scores["session"] == date(2020, 1, 15)].iloc[0]
    assert (after["score"], after["warned"]) == (50.0, 1)  # the gap before it is a warning


def test_a_useless_batch_changes_nothing(warehouse: MarketWarehouse, bars: pd.DataFrame) -> None:
    with pytest.raises(InvalidInput, match="nothing was merged"):
        merge(warehouse, bars.assign(close=0.0))
    assert warehouse.bars.daily().empty and warehouse.quarantine.count() == 0
    assert any(not result.passed for result in warehouse.quality.of_run("run"))


def _unadjusted(bars: pd.DataFrame) -> pd.DataFrame:
    frame = bars.copy()
    later = (frame["symbol"] == "KO") & (frame["session"] >= SPLIT_DAY)
    frame.loc[later, ["open", "high", "low", "close"]] /= 4.0
    return frame


def test_a_recorded_split_settles_what_waited_for_it(
    warehouse: MarketWarehouse, bars: pd.DataFrame
) -> None:
    frame = _unadjusted(bars)
    held = merge(warehouse, frame).quarantined
    assert held > 15 and warehouse.bars.last_sessions()["KO"] < SPLIT_DAY
    warehouse.actions.merge([CorporateAction("KO", SPLIT_DAY, ActionKind.SPLIT, 4.0)], "file", NOW)
    again = merge(warehouse, frame, "second")
    assert (again.quarantined, len(again.passed)) == (0, held)
    assert warehouse.quarantine.count() == 0
    assert warehouse.bars.last_sessions()["KO"] == LAST


def test_a_person_lets_rows_in_and_they_stay_in(
    warehouse: MarketWarehouse, bars: pd.DataFrame
) -> None:
    frame = _unadjusted(bars)
    merge(warehouse, frame)
    ids = [row.id for row in warehouse.quarantine.rows(symbol="KO")]
    with pytest.raises(InvalidInput, match="--reason"):
        release_rows(warehouse, ids, "ann", " ", NOW)
    assert release_rows(warehouse, ids, "ann", "spun off half of itself", NOW) == len(ids)
    assert warehouse.bars.last_sessions()["KO"] == LAST
    assert merge(warehouse, frame, "second").quarantined == 0
    with pytest.raises(InvalidInput, match="was released by ann"):
        release_rows(warehouse, ids[:1], "bob", "once more", NOW)


def test_rows_that_no_reader_could_use_cannot_be_released(
    warehouse: MarketWarehouse, bars: pd.DataFrame
) -> None:
    bars.loc[10, "high"] = 0.01
    merge(warehouse, bars)
    with pytest.raises(InvalidInput, match="cannot be released: high is below"):
        release_rows(warehouse, [warehouse.quarantine.rows()[0].id], "ann", "I say so", NOW)
    assert warehouse.quarantine.count() == 1


def test_minutes_pass_the_same_gate(warehouse: MarketWarehouse) -> None:
    session = sessions_between(LAST, LAST)[0]
    ts = pd.date_range(session.open, session.close, freq="min", inclusive="left")
    frame = pd.DataFrame(
        {"symbol": "KO", "ts": ts, "open": 50.0, "high": 51.0, "low": 49.0, "close": 50.5,
         "volume": range(1, len(ts) + 1)}
    )  # fmt: skip
    frame.loc[7, "low"] = 60.0
    admitted = admit_minutes(warehouse, frame, Batch("file", "run", NOW))
    assert (len(admitted.rows), admitted.quarantined) == (389, 1)
    warehouse.minutes.merge(admitted.rows, "file", NOW)
    score = warehouse.scores.of("bars_minute", "KO").iloc[0]
    assert (score["expected"], score["received"], score["accepted"]) == (390, 390, 389)
    assert score["score"] == pytest.approx(100 * 389 / 390)
