"""Quality checks: good bars pass, every kind of damage is found by its own check, and fast."""

import time
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.domain.sessions import session_dates
from tasks.quality import BAR_COLUMNS, validate_daily_bars, warm_up

FIRST, LAST = date(2020, 1, 2), date(2020, 12, 31)
CALENDAR = session_dates(FIRST, LAST)
Maker = Callable[..., pd.DataFrame]


@pytest.fixture
def bars(make_bars: Maker) -> pd.DataFrame:
    return make_bars(symbols=["AAPL", "KO", "XOM"], first=FIRST, last=LAST)


def test_good_bars_pass_every_check(bars: pd.DataFrame) -> None:
    report = validate_daily_bars(bars, CALENDAR)
    assert report.success and report.failed == () and report.rejected_rows == ()
    assert report.rows == len(bars) == 3 * len(CALENDAR)
    assert len({check.label for check in report.checks}) == len(report.checks) > 20
    report.require("bars", bars)


def _damage(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def apply(frame: pd.DataFrame) -> pd.DataFrame:
        if isinstance(value, str):
            frame[column] = frame[column].astype(object)
        frame.loc[30, column] = value
        return frame

    return apply


def _jump(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[30, ["open", "high", "low", "close"]] *= 5.0
    return frame


def _unsplit(frame: pd.DataFrame) -> pd.DataFrame:
    later = (frame["symbol"] == "KO") & (frame["session"] >= date(2020, 6, 1))
    frame.loc[later, ["open", "high", "low", "close"]] *= 7.0
    return frame


def _twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[[30]]], ignore_index=True)


def _without_weeks(frame: pd.DataFrame) -> pd.DataFrame:
    gap = (frame["session"] >= date(2020, 6, 1)) & (frame["session"] <= date(2020, 6, 30))
    return frame[~(gap & (frame["symbol"] == "XOM"))]


def _with_many_holes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(index=range(30, 330, 15))


DAMAGE = [
    (_damage("low", 1e6), "open >= low"),
    (_damage("high", 0.0001), "high >= close"),
    (_damage("close", np.nan), "to_not_be_null(close)"),
    (_damage("close", np.inf), "between(close)"),
    (_damage("open", -1.0), "between(open)"),
    (_damage("open", 0.0), "between(open)"),
    (_damage("volume", -1), "between(volume)"),
    (_damage("symbol", None), "to_not_be_null(symbol)"),
    (_damage("session", date(2020, 7, 4)), "in_set(is_session)"),
    (_damage("session", date(2021, 1, 4)), "in_set(is_session)"),
    (_damage("close", "expensive"), "between(close)"),
    (_jump, "between(log_return)"),
    (_unsplit, "between(log_return)"),
    (_twice, "unique(symbol, session)"),
    (_without_weeks, "between(sessions_skipped)"),
    (_with_many_holes, "in_set(is_next_session)"),
    (lambda frame: frame.iloc[::-1], "between(sessions_ahead)"),
    (lambda frame: frame.drop(columns="open"), "ordered_list"),
    (lambda frame: frame.assign(extra=1), "ordered_list"),
    (lambda frame: frame.assign(session=pd.to_datetime(frame["session"])), "in_set(is_session)"),
    (lambda frame: frame.iloc[:0], "row_count"),
]


@pytest.mark.parametrize(("damage", "found_by"), DAMAGE)
def test_damage_is_found(
    bars: pd.DataFrame, damage: Callable[[pd.DataFrame], pd.DataFrame], found_by: str
) -> None:
    damaged = damage(bars)
    report = validate_daily_bars(damaged, CALENDAR)
    assert not report.success
    assert any(found_by in check.label for check in report.failed), report.failed
    with pytest.raises(InvalidInput, match="nothing was merged"):
        report.require("these bars", damaged)


def test_refused_rows_are_named(bars: pd.DataFrame) -> None:
    bars.loc[[30, 45], "volume"] = -7
    report = validate_daily_bars(bars, CALENDAR)
    assert report.rejected_rows == (30, 45)
    with pytest.raises(InvalidInput) as caught:
        report.require("these bars", bars)
    text = str(caught.value)
    assert "2 of" in text and "-7" in text
    assert f"{bars.loc[30, 'symbol']} {bars.loc[30, 'session']}" in text


def test_rows_are_named_by_place_whatever_the_index(bars: pd.DataFrame) -> None:
    bars.index = pd.Index(np.arange(len(bars)) + 1000)
    bars.iloc[30, bars.columns.get_loc("volume")] = -7
    assert validate_daily_bars(bars, CALENDAR).rejected_rows == (30,)


def test_single_missing_bar_is_tolerated(bars: pd.DataFrame) -> None:
    assert validate_daily_bars(bars.drop(index=30), CALENDAR).success


def test_engine_failure_counts_as_failure(bars: pd.DataFrame) -> None:
    bars["high"] = "expensive"
    report = validate_daily_bars(bars, CALENDAR)
    broken = [check for check in report.failed if check.exception]
    assert broken and not report.success


def test_whole_history_validates_in_about_a_second(make_bars: Maker) -> None:
    whole = make_bars()
    calendar = session_dates(whole["session"].min(), whole["session"].max())
    warm_up()
    started = time.process_time()
    report = validate_daily_bars(whole[list(BAR_COLUMNS)], calendar)
    assert report.success and report.rows > 160_000
    assert time.process_time() - started < 5.0
