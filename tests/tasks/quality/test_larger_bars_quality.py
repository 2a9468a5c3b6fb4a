"""Bars built from minutes: their suites let them pass, and their charts tell only real gaps."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.domain.sessions import session_on, sessions_between
from tasks.market_data.data_looks import missing_bars
from tasks.quality import BarFacts, validate_bars
from warehouse.market import MarketWarehouse

HALF, WHOLE = date(2024, 11, 29), date(2024, 12, 2)
SIZES = {"5m": 120, "15m": 40, "1h": 11}  # bars of a half-day and a whole one


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MarketWarehouse:
    made = MarketWarehouse(tmp_path_factory.mktemp("market") / "warehouse.duckdb")
    for day in (HALF, WHOLE):
        session = session_on(day)
        ts = pd.date_range(session.open, session.close, freq="1min", inclusive="left")
        close = 60 + 0.02 * np.sin(np.arange(len(ts)))
        frame = pd.DataFrame({"symbol": "KO", "ts": ts, "open": close, "close": close, "volume": 7})
        made.minutes.merge(frame.assign(high=close + 0.1, low=close - 0.1), "file", session.close)
    return made


@pytest.mark.parametrize("size", SIZES)
def test_built_bars_pass_their_suite_and_have_no_gaps(store: MarketWarehouse, size: str) -> None:
    bars = store.minutes.bars(timeframe=size)
    assert len(bars) == SIZES[size] and missing_bars(bars, size) == []
    report = validate_bars(f"bars_{size}", bars, BarFacts(sessions_between(HALF, WHOLE)))
    assert report.failed == () and report.refused == ()
    shifted = bars.assign(ts=bars["ts"] + pd.Timedelta("1min"))
    report = validate_bars(f"bars_{size}", shifted, BarFacts(sessions_between(HALF, WHOLE)))
    assert len(report.refused) == len(bars) and "full bar" in report.refused[0].reason


def test_a_missing_hour_is_told(store: MarketWarehouse) -> None:
    hours = store.minutes.bars(timeframe="1h")
    assert missing_bars(hours.drop(index=[1, 6]), "1h") == ["2024-11-29 10:00", "2024-12-02 11:00"]


def test_a_long_hole_is_told_in_bars_of_its_size(store: MarketWarehouse) -> None:
    bars = store.minutes.bars(timeframe="5m", first=WHOLE)
    facts = BarFacts(sessions_between(WHOLE, WHOLE))
    for gone, told in ((15, []), (16, ["gap"])):
        report = validate_bars("bars_5m", bars.drop(index=range(5, 5 + gone)), facts)
        assert [check.expectation for check in report.failed] == told
