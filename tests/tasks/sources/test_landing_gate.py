"""Every import passes Great Expectations: refused rows wait, days are scored, one run is told."""

import asyncio
import re
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.domain.sessions import session_dates, session_on
from tasks.quality.imports import NO_FILES, QualityFiles
from tasks.sources.landing import KEPT, land
from tasks.sources.protocol import BarBatch
from warehouse.market import MarketWarehouse

DAYS = session_dates(date(2024, 1, 2), date(2024, 3, 28))
SESSION = session_on(date(2024, 1, 3))
NOW = datetime(2024, 4, 1, 22, tzinfo=UTC)


class Source:
    """Batches as they are given."""

    def __init__(self, *batches, name="file"):
        self.given, self.name = batches, name

    async def batches(self):
        for batch in self.given:
            yield batch


@pytest.fixture
def store(tmp_path):
    return MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)


def bring(store, *batches, name="file", run="run", quality=NO_FILES):
    source = Source(*batches, name=name)
    return asyncio.run(land(source, store, NOW, lambda _t: None, run_id=run, quality=quality))


def daily(days=DAYS, scale=1.0):
    close = (60 + 0.5 * np.sin(np.arange(len(days)))) * scale
    rows = {"symbol": "KO", "session": days, "open": close, "high": close + 0.5}
    return pd.DataFrame(rows | {"low": close - 0.5, "close": close, "volume": 1000})


def minutes(first=0, last=390):
    ts = pd.date_range(SESSION.open, SESSION.close, freq="min", inclusive="left")[first:last]
    close = 60 + 0.02 * np.sin(np.arange(first, last))
    rows = {"symbol": "KO", "ts": ts, "open": close, "high": close + 0.05}
    return pd.DataFrame(rows | {"low": close - 0.05, "close": close, "volume": 10})


def test_a_spike_waits_in_quarantine_and_the_rest_is_merged(store):
    frame = minutes()
    frame.loc[100, ["open", "high", "low", "close"]] *= 2.0
    report = bring(store, BarBatch("1m", frame, "part"))
    assert report.added == 389 and len(store.minutes.bars(["KO"])) == 389
    reason = "the price leaves and comes back a bar later"
    assert dict(report.rejected) == {reason: 1} == dict(report.quality.refused)
    [row] = store.quarantine.rows("bars_minute")
    assert (row.expectation, row.source, row.moment) == ("spike", "file", frame["ts"][100])
    results = {result.expectation: result for result in store.quality.of_run("run")}
    assert results["spike(spike)"].observed == "1 of 390 rows"
    assert results["session(outside)"].passed
    assert f"390 rows passed through {len(results)} checks in" in report.summary


def test_a_day_that_comes_in_parts_has_one_score_and_another_run_renews_it(store):
    bring(store, BarBatch("1m", minutes(0, 200), "a"), BarBatch("1m", minutes(200, 390), "b"))
    day = store.scores.of("bars_minute", "KO").iloc[0]
    assert (day["expected"], day["received"], day["score"]) == (390, 390, 100.0)
    bring(store, BarBatch("1m", minutes(0, 195), "half"), run="second")
    assert store.scores.of("bars_minute", "KO")["score"].tolist() == [50.0]


def test_a_split_that_a_source_adjusts_for_is_told_and_else_waits(store):
    fallen = pd.concat([daily(DAYS[:30]), daily(DAYS[30:], 0.5)], ignore_index=True)
    assert bring(store, BarBatch("1d", fallen, "raw")).added == 30
    assert store.quarantine.count() == len(DAYS) - 30
    report = bring(store, BarBatch("1d", fallen, "adjusted", adjusted=True), run="second")
    assert (report.added, report.quality.settled) == (len(DAYS) - 30, len(DAYS) - 30)
    assert report.quality.remarks["split_suspected"] == 1 and store.quarantine.count() == 0


def test_a_lower_source_that_disagrees_is_told_and_changes_nothing(store):
    bring(store, BarBatch("1d", daily(), "broker"), name="ibkr")
    report = bring(store, BarBatch("1d", daily(scale=1.02), "file"), run="second")
    assert (report.changed, report.left_out[KEPT]) == (0, len(DAYS))
    assert report.quality.remarks["agreement"] == len(DAYS)
    assert store.bars.sources() == {("KO", "ibkr"): len(DAYS)}


def test_a_rule_that_stops_merges_nothing_and_the_data_docs_are_written(store, tmp_path):
    policy = tmp_path / "quality.toml"
    policy.write_text(
        '[bars_daily.spike]\nseverity = "stop"\n[bars_daily.positive_low]\nseverity = "stop"\n'
    )
    files = QualityFiles(policy, tmp_path / "docs")
    frame = daily()
    assert bring(store, BarBatch("1d", frame, "fine"), quality=files).quality.docs
    (index,) = (tmp_path / "docs").glob("*/index.html")
    page = index.read_text()
    assert "spike(spike)" in page and "the price leaves and comes back a bar later" in page
    assert "http" not in page, "the first page needs no network"
    (linked,) = re.findall(r"href='(validations/[^']+)'", page)
    assert (index.parent / linked).is_file() and (
        index.parent / "great-expectations.html"
    ).is_file()
    frame.loc[20, ["open", "high", "low", "close"]] *= 2.0
    with pytest.raises(InvalidInput, match="checks stop the batch"):
        bring(store, BarBatch("1d", frame, "spike"), quality=files, run="second")
    with pytest.raises(InvalidInput, match="positive_low stop"):
        bring(
            store, BarBatch("1d", frame.assign(low=[-1.0, *frame["low"][1:]]), "low"), quality=files
        )
    assert store.bars.daily(["KO"])["close"].max() < 61
    results = {result.expectation: result for result in store.quality.of_run("second")}
    assert not results["spike(spike)"].passed


def test_minutes_that_had_not_ended_when_they_were_learnt_are_kept_out(store):
    noon = SESSION.open + timedelta(minutes=150)
    source = Source(BarBatch("1m", minutes(), "part"))
    report = asyncio.run(land(source, store, noon, lambda _t: None, run_id="run"))
    assert report.added == 150
    assert store.minutes.bars()["ts"].max() == noon - timedelta(minutes=1)
    [reason] = report.rejected
    assert "had not ended" in reason


def test_a_spike_at_the_end_of_a_batch_waits_for_the_bar_after_it(store):
    frame = minutes()
    frame.loc[199, ["open", "high", "low", "close"]] *= 1.2
    first = BarBatch("1m", frame[:200], "a")
    report = bring(store, first, BarBatch("1m", frame[200:], "b"))
    assert (report.added, store.quarantine.rows()[0].moment) == (389, frame["ts"][199])
    settled = bring(store, BarBatch("1m", minutes(), "right"), run="second")
    assert settled.added == 1 and store.minutes.bars(["KO"])["close"].max() < 61


def test_a_move_that_lasts_is_held_for_one_batch_and_the_last_one_is_merged_at_the_end(store):
    frame = minutes()
    frame.loc[199:, ["open", "high", "low", "close"]] *= 1.2
    report = bring(store, BarBatch("1m", frame[:200], "a"), BarBatch("1m", frame[200:], "b"))
    assert (report.added, store.quarantine.count()) == (390, 0)
    alone = bring(store, BarBatch("1m", frame[:200].assign(symbol="PEP"), "ends here"), run="two")
    assert (alone.added, alone.batches) == (200, 1)
    assert len(store.minutes.bars(["PEP"])) == 200


def test_nothing_is_held_of_a_batch_that_is_marked_as_done(store):
    frame = minutes(0, 200)
    frame.loc[199, ["open", "high", "low", "close"]] *= 1.2
    done = []
    bring(store, BarBatch("1m", frame, "window", landed=done.append))
    assert done[0].added == 200


def test_minutes_of_a_symbol_with_none_stored_may_begin_before_another_symbols_context(store):
    bring(store, BarBatch("1m", minutes(0, 200), "before"))
    fresh = minutes().assign(symbol="PEP")
    fresh["ts"] -= pd.Timedelta(days=1)
    part = pd.concat([minutes(200, 390), fresh], ignore_index=True)
    report = bring(store, BarBatch("1m", part, "a part that ends one symbol and begins another"))
    assert (report.added, store.quarantine.count()) == (190 + 390, 0)


def test_the_stored_minutes_before_a_batch_count_for_its_first_bar(store):
    bring(store, BarBatch("1m", minutes(0, 200), "before"))
    later = minutes(230, 390)
    later.loc[0, ["open", "high", "low", "close"]] *= 1.2
    report = bring(store, BarBatch("1m", later, "after a hole"), run="second")
    assert (report.added, report.quality.remarks["gap"]) == (159, 1)
    assert store.quarantine.rows()[0].expectation == "spike"
    halved = minutes(0, 390)
    halved["ts"] += pd.Timedelta(days=1)
    halved[["open", "high", "low", "close"]] *= 0.5
    split = bring(store, BarBatch("1m", halved, "a split that nobody told"), run="third")
    assert (split.added, store.quarantine.count()) == (0, 391)
    assert set(split.rejected) == {"from a move by a simple ratio on, without a split on record"}
