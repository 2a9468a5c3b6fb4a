"""The real files of the folder that ROBO_TEST_DATA names: each imports, and its splits vanish."""

import os
from datetime import date
from pathlib import Path

import pytest

from models.domain.corporate_actions import ActionKind, Adjustment
from tasks.sources.files import FileOptions, plan_import
from tasks.sources.imports import import_files, import_lean, import_table
from tasks.sources.lean import LeanFolder, lean_folder
from warehouse.market import MarketWarehouse

DATA = os.environ.get("ROBO_TEST_DATA", "")  # read before fixtures clear ROBO_ variables
pytestmark = pytest.mark.skipif(
    not DATA, reason="ROBO_TEST_DATA names no folder with the real market data"
)


@pytest.fixture
def store(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "w.duckdb", deadline=5.0)


def test_lean_daily_bars_minutes_and_factors(store):
    whole = lean_folder(Path(DATA) / "lean")
    assert len(whole.daily) > 15 and len(whole.minutes) > 30
    some = LeanFolder(
        tuple(path for path in whole.daily if path.stem in {"aapl", "wm"}),
        whole.minutes[:2],
        tuple(path for path in whole.factors if path.stem in {"aapl", "wm"}),
    )
    report = import_lean(store, some, lambda _text: None)
    assert report.landing.added > 7_900
    waiting = store.quarantine.rows("bars_daily")
    assert {row.symbol for row in waiting} == {"WM"}, "the factors lack its 3:2 split of 2001"
    assert min(row.moment for row in waiting).date() == date(2001, 5, 16)
    assert "without a split on record" in waiting[0].reason
    assert store.bars.last_sessions()["WM"] == date(2001, 5, 15)
    splits = [
        (a.ex_date, a.value) for a in store.actions.of(["AAPL"]) if a.kind is ActionKind.SPLIT
    ]
    assert splits == [
        (date(2000, 6, 21), 2.0),
        (date(2005, 2, 28), 2.0),
        (date(2014, 6, 9), 7.0),
        (date(2020, 8, 31), 4.0),
    ]
    raw = store.bars.daily(["AAPL"])["close"].pct_change()
    end = date(2021, 3, 31)
    adjusted = store.bars.adjusted(["AAPL"], on=end)["close"]
    assert raw.min() < -0.8 and adjusted.pct_change().min() > -0.53, "29 September 2000 was real"
    total = store.bars.adjusted(["AAPL"], on=end, adjustment=Adjustment.TOTAL_RETURN)["close"]
    factor = 0.8613657 * 0.00892857  # of the factor file's first row
    first = store.bars.daily(["AAPL"])["close"].iloc[0]
    assert total.iloc[0] == pytest.approx(first * factor, rel=2e-3)
    assert import_lean(store, some, lambda _text: None).landing.added == 0


def test_the_minute_parquet_waits_for_the_split_that_it_shows(store, tmp_path):
    path = Path(DATA) / "us_equity_1min.parquet"
    plan = plan_import(path, FileOptions(zone="America/New_York"))
    assert plan.timeframe == "1m"
    report = import_files(store, plan, lambda _text: None, register=True)
    assert (report.landing.added, len(report.new)) == (20_424, 10)
    waiting = store.quarantine.rows("bars_minute")
    assert {(row.symbol, row.moment.date()) for row in waiting} == {("AAPL", date(2014, 6, 9))}
    splits = tmp_path / "splits.csv"
    splits.write_text("symbol,ex_date,kind,value\nAAPL,2014-06-09,split,7\n")
    import_table(store, "actions", splits)
    again = import_files(store, plan, lambda _text: None, register=True).landing
    assert (again.added, again.unchanged, again.quality.settled) == (834, 20_424, 834)
    assert store.quarantine.count() == 0
