"""The real files of the folder that ROBO_TEST_DATA names: each imports, and its splits vanish."""

import os
from datetime import date
from pathlib import Path

import pytest

from models.domain.corporate_actions import ActionKind, Adjustment
from tasks.sources.files import FileOptions, plan_import
from tasks.sources.imports import import_files, import_lean
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
    assert report.landing.added > 8_000 and not report.landing.rejected
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


def test_the_minute_parquet(store):
    path = Path(DATA) / "us_equity_1min.parquet"
    plan = plan_import(path, FileOptions(zone="America/New_York"))
    assert plan.timeframe == "1m"
    report = import_files(store, plan, lambda _text: None, register=True)
    assert (report.landing.added, len(report.new)) == (21_258, 10)
