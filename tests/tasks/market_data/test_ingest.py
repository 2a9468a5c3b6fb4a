"""Ingest: incremental, validated as one batch, idempotent, and plain about what failed."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput, RetryLater
from models.domain.sessions import session_dates
from tasks.market_data.ingest import (
    IngestReport,
    PartlyIngested,
    ingest_daily,
    last_completed_session,
)
from tasks.settings import Settings, load_settings
from warehouse.market import MarketWarehouse

Maker = Callable[..., pd.DataFrame]
MORNING = datetime(2020, 3, 31, 12, 0, tzinfo=UTC)  # a Tuesday, before the open
EVENING = datetime(2020, 3, 31, 21, 0, tzinfo=UTC)
MONDAY, TUESDAY = date(2020, 3, 30), date(2020, 3, 31)
FIRST_DAY = date(1987, 3, 30)  # ROBO_HISTORY_YEARS before Monday


class FrameHistory:
    """A history source that answers from a Bars frame, as a broker answers from its own."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.asked: list[tuple[str, date | None, date]] = []
        self.keep_to_end = True

    async def daily_bars(self, symbol: str, first: date | None, end: date) -> pd.DataFrame:
        self.asked.append((symbol, first, end))
        found = self.frame[self.frame["symbol"] == symbol]
        if found.empty:
            raise InvalidInput(f"no security definition for {symbol}")
        if first is not None:
            found = found[found["session"] >= first]
        return found[found["session"] <= end] if self.keep_to_end else found


@pytest.fixture
def small(settings: Settings) -> Settings:
    return load_settings(home=settings.home, universe=("AAPL", "KO"), lock_deadline=2.0)


@pytest.fixture
def source(make_bars: Maker) -> FrameHistory:
    return FrameHistory(make_bars(symbols=["AAPL", "KO"], first=date(2020, 1, 2), last=TUESDAY))


@pytest.fixture
def store(small: Settings) -> MarketWarehouse:
    return MarketWarehouse(small.warehouse_path, deadline=2.0)


@pytest.fixture
def ingest(source: FrameHistory, store: MarketWarehouse, small: Settings) -> Callable[..., object]:
    async def run(now: datetime, **changes: object) -> IngestReport:
        chosen = load_settings(home=small.home, **({"universe": small.universe} | changes))
        return await ingest_daily(source, store, chosen, now, lambda text: None, run_id="run")

    return run


async def test_first_ingest_stores_all_history(ingest, source, store) -> None:
    report = await ingest(MORNING)
    expected = source.frame[source.frame["session"] <= MONDAY]
    assert (report.added, report.changed, report.unchanged) == (len(expected), 0, 0)
    assert report.last_session == MONDAY and report.behind == ()
    assert source.asked == [("AAPL", FIRST_DAY, MONDAY), ("KO", FIRST_DAY, MONDAY)]
    kept = store.bars.daily()
    pd.testing.assert_frame_equal(
        kept, expected.reset_index(drop=True), check_dtype=False, check_index_type=False
    )
    assert {result.passed for result in store.quality.of_run("run")} == {True}


async def test_second_ingest_adds_nothing_and_says_so(ingest, source, store) -> None:
    first = await ingest(MORNING)
    before = store.bars.content_hash()
    source.asked.clear()
    second = await ingest(MORNING)
    assert (second.added, second.changed) == (0, 0)
    assert second.summary.startswith(f"nothing new: {first.added} bars already there")
    # five sessions before Monday the 30th: Monday the 23rd
    assert source.asked == [("AAPL", date(2020, 3, 23), MONDAY), ("KO", date(2020, 3, 23), MONDAY)]
    assert store.bars.content_hash() == before


async def test_more_years_bring_what_is_missing_in_front_once(ingest, source, store) -> None:
    await ingest(MORNING, history_years=1)
    older = source.frame.assign(session=[d.replace(year=2012) for d in source.frame["session"]])
    older = older[older["session"].isin(session_dates(date(2012, 1, 3), date(2012, 3, 30)))]
    source.frame = pd.concat([older, source.frame], ignore_index=True)
    await ingest(MORNING)
    source.asked.clear()
    longer = await ingest(MORNING, history_years=40)
    assert (longer.added, longer.quarantined) == (0, 0), "33 years were asked for already"
    assert set(store.bars.first_sessions().values()) == {older["session"].min()}
    assert source.asked == [(name, date(1980, 3, 30), MONDAY) for name in ("AAPL", "KO")]
    source.asked.clear()
    await ingest(MORNING, history_years=40)
    assert source.asked == [(name, date(2020, 3, 23), MONDAY) for name in ("AAPL", "KO")]


async def test_next_evening_adds_one_session(ingest) -> None:
    await ingest(MORNING)
    report = await ingest(EVENING)
    assert (report.added, report.unchanged, report.last_session) == (2, 12, TUESDAY)


async def test_bars_of_an_unfinished_session_are_dropped(ingest, source, store) -> None:
    source.keep_to_end = False
    report = await ingest(datetime(2020, 3, 31, 19, 59, tzinfo=UTC))
    assert report.unfinished == 2
    assert set(store.bars.last_sessions().values()) == {MONDAY}


async def test_correction_is_counted_and_the_old_bar_kept(ingest, source, store) -> None:
    await ingest(MORNING)
    row = source.frame.index[(source.frame["symbol"] == "KO") & (source.frame["session"] == MONDAY)]
    source.frame.loc[row, "volume"] += 1
    report = await ingest(MORNING)
    assert (report.added, report.changed, report.refetched) == (0, 1, ())
    assert len(store.bars.history()) == 1


async def test_a_split_is_recorded_and_raw_bars_stay(ingest, source, store) -> None:
    await ingest(MORNING)
    raw = store.bars.daily(symbols=["AAPL"])
    split = source.frame["symbol"] == "AAPL"
    source.frame.loc[split, ["open", "high", "low", "close"]] /= 4.0
    report = await ingest(EVENING)
    [found] = report.splits
    assert (found.symbol, found.ex_date, found.value) == ("AAPL", TUESDAY, 4.0)
    assert (report.added, report.changed, report.refetched) == (2, 0, ())
    kept = store.bars.daily(symbols=["AAPL"])
    pd.testing.assert_frame_equal(kept[kept["session"] < TUESDAY], raw)
    adjusted = store.bars.adjusted(["AAPL"], on=TUESDAY)["close"].to_numpy()
    assert adjusted == pytest.approx(source.frame.loc[split, "close"].to_numpy())
    again = await ingest(EVENING)
    assert (again.added, again.changed, again.splits) == (0, 0, ())


async def test_an_announced_split_costs_no_session_before_its_ex_date(
    ingest, source, store
) -> None:
    await ingest(MORNING)
    announced = CorporateAction("AAPL", date(2020, 4, 1), ActionKind.SPLIT, 10.0)
    store.actions.merge([announced], "file", MORNING)
    report = await ingest(EVENING)
    assert (report.added, report.changed, report.behind) == (2, 0, ())
    kept = store.bars.daily(["AAPL"])["close"].to_numpy()
    given = source.frame[source.frame["symbol"] == "AAPL"]["close"]
    assert kept.tolist() == given.tolist(), "as they were traded"


async def test_an_outage_over_a_recorded_split_loses_and_refuses_nothing(
    ingest, source, store
) -> None:
    await ingest(datetime(2020, 3, 26, 21, 0, tzinfo=UTC))  # Thursday; then nothing until Tuesday
    split = CorporateAction("AAPL", TUESDAY, ActionKind.SPLIT, 10.0)
    store.actions.merge([split], "file", MORNING)
    own = source.frame["symbol"] == "AAPL"
    traded = source.frame[own].reset_index(drop=True)
    source.frame.loc[own, ["open", "high", "low", "close"]] /= 10.0
    source.frame.loc[own, "volume"] *= 10
    report = await ingest(EVENING)
    assert (report.quarantined, report.added, report.changed, report.splits) == (0, 6, 0, ())
    kept = store.bars.daily(["AAPL"])
    before = kept["session"] < TUESDAY
    pd.testing.assert_frame_equal(kept[before], traded[before], check_dtype=False)
    adjusted = store.bars.adjusted(["AAPL"], on=TUESDAY)["close"].to_numpy()
    assert adjusted == pytest.approx(source.frame.loc[own, "close"].to_numpy())
    assert (await ingest(EVENING)).changed == 0


async def test_history_restated_by_no_ratio_is_fetched_whole(ingest, source, store) -> None:
    await ingest(MORNING)
    moved = source.frame["symbol"] == "AAPL"
    source.frame.loc[moved, ["open", "high", "low", "close"]] /= 1.0379
    report = await ingest(EVENING)
    assert (report.refetched, report.splits) == (("AAPL",), ())
    stored = store.bars.daily(symbols=["AAPL"])["close"].to_numpy()
    assert stored == pytest.approx(source.frame.loc[moved, "close"].to_numpy())


async def test_new_symbol_of_the_universe_gets_all_its_history(ingest, source) -> None:
    await ingest(MORNING, universe=("KO",))
    source.asked.clear()
    await ingest(MORNING)
    assert source.asked == [("AAPL", FIRST_DAY, MONDAY), ("KO", date(2020, 3, 23), MONDAY)]


async def test_unknown_symbol_is_named_and_the_others_are_kept(ingest, store) -> None:
    with pytest.raises(PartlyIngested, match=r"NOPE: no security definition") as caught:
        await ingest(MORNING, universe=("AAPL", "NOPE", "KO"))
    assert isinstance(caught.value, InvalidInput)
    assert set(caught.value.report.failed) == {"NOPE"}
    assert set(store.bars.last_sessions()) == {"AAPL", "KO"}


async def test_no_known_symbol_at_all_is_an_error(ingest, store) -> None:
    with pytest.raises(InvalidInput, match="no bars for any symbol"):
        await ingest(MORNING, universe=("NOPE",))
    assert store.bars.coverage().empty


async def test_symbol_that_stopped_trading_is_reported_behind(ingest, source) -> None:
    source.frame = source.frame[
        (source.frame["symbol"] == "KO") | (source.frame["session"] < date(2020, 3, 20))
    ]
    report = await ingest(MORNING)
    assert report.behind == ("AAPL",)


async def test_a_bad_bar_is_quarantined_and_the_others_are_merged(ingest, source, store) -> None:
    source.frame.loc[40, "close"] = -5.0
    expected = (source.frame["session"] <= MONDAY).sum()
    report = await ingest(MORNING)
    assert (report.quarantined, report.added) == (1, expected - 1)
    (row,) = store.quarantine.rows()
    assert row.content["close"] == -5.0 and row.source == "ibkr"
    assert "1 row quarantined" in report.summary and report.quality.docs.startswith("file:")


async def test_useless_batch_merges_nothing_and_leaves_its_findings(ingest, source, store) -> None:
    source.frame["close"] = -5.0
    with pytest.raises(InvalidInput, match=r"refused_share(.*\n)*.*-5"):
        await ingest(MORNING)
    assert store.bars.coverage().empty
    failed = [result for result in store.quality.of_run("run") if not result.passed]
    assert any("close" in result.expectation for result in failed)


async def test_lost_broker_is_passed_on_and_merges_nothing(ingest, source, store) -> None:
    healthy = source.daily_bars

    async def breaks(symbol: str, first: date | None, end: date) -> pd.DataFrame:
        if symbol == "KO":
            raise RetryLater("the gateway is away")
        return await healthy(symbol, first, end)

    source.daily_bars = breaks
    with pytest.raises(RetryLater, match="away"):
        await ingest(MORNING)
    assert store.bars.coverage().empty


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2020, 3, 31, 19, 59, 59, tzinfo=UTC), MONDAY),
        (datetime(2020, 3, 31, 20, 0, tzinfo=UTC), TUESDAY),
        (datetime(2020, 3, 28, 12, 0, tzinfo=UTC), date(2020, 3, 27)),  # a Saturday
        (datetime(2020, 4, 10, 22, 0, tzinfo=UTC), date(2020, 4, 9)),  # Good Friday
        (datetime(2022, 11, 25, 17, 59, tzinfo=UTC), date(2022, 11, 23)),  # half day, open
        (datetime(2022, 11, 25, 18, 0, tzinfo=UTC), date(2022, 11, 25)),  # half day, closed
        (datetime(2020, 4, 1, 2, 0, tzinfo=UTC), TUESDAY),  # still Tuesday in New York
    ],
)
def test_last_completed_session(moment: datetime, expected: date) -> None:
    assert last_completed_session(moment) == expected


async def test_years_of_history_are_those_of_the_setting(ingest, source) -> None:
    await ingest(MORNING, history_years=1)
    assert {first for _, first, _ in source.asked} == {date(2019, 3, 30)}
