"""Where each verdict on bars begins: one step below it nothing is said, one above it is."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.domain.sessions import at_exchange_time, session_dates, session_on, sessions_between
from tasks.quality import BarFacts, validate_bars
from tasks.quality.bars import derive_bars
from tasks.quality.report import QualityReport
from tasks.quality.scoring import score_counts

DAYS = session_dates(date(2024, 1, 2), date(2024, 6, 28))
FACTS = BarFacts(sessions_between(DAYS[0], DAYS[-1]))
PLACE = 60  # of the row that something happens to


def daily(steps: dict[int, float], usual: float = 0.01, span: float = 0.0) -> pd.DataFrame:
    """Return bars whose log moves go -usual, 0, usual, … but for `steps`; the first day is flat.

    Their robust volatility is 1.4826 x usual. `span` is the log range of the bar at PLACE.
    """
    moves = np.resize([-usual, 0.0, usual], len(DAYS))
    for place, move in steps.items():
        moves[place] = move
    close = 100 * np.exp(np.cumsum(moves))
    bars = pd.DataFrame({"symbol": "KO", "session": DAYS, "open": close, "high": close})
    bars = bars.assign(low=close, close=close, volume=np.arange(len(DAYS)) + 9)
    bars.loc[PLACE, "low"] *= np.exp(-span)
    return bars


def derived(frame: pd.DataFrame) -> pd.Series:
    return derive_bars("bars_daily", frame, FACTS).iloc[PLACE]


@pytest.mark.parametrize(
    ("there", "back", "spike"),
    [
        (0.34, -0.34, 0),  # no more than the least move
        (0.36, -0.36, 1),
        (0.50, -0.41, 1),  # 18 % of it is left a bar later
        (0.50, -0.39, 0),  # 22 %
    ],
)
def test_a_spike_is_large_and_comes_back(there: float, back: float, spike: int) -> None:
    row = derived(daily({PLACE: there, PLACE + 1: back}))
    assert row["spike"] == spike


@pytest.mark.parametrize(
    ("move", "usual", "span", "split"),
    [
        (np.log(2) + 0.029, 0.01, 0.0, 1),
        (np.log(2) + 0.031, 0.01, 0.0, 0),
        (np.log(1.5) + 0.011, 0.01, 0.0, 1),
        (np.log(1.5) + 0.013, 0.01, 0.0, 0),  # small ratios must be met closely: crashes
        (-np.log(3) - 0.09, 0.01, 0.0, 1),
        (-np.log(3) - 0.11, 0.01, 0.0, 0),
        (-np.log(2), 0.01, 0.34, 1),
        (-np.log(2), 0.01, 0.36, 0),  # a day that ranges over half of the move is no split's
        (-np.log(2), 0.058, 0.0, 1),
        (-np.log(2), 0.059, 0.0, 0),  # 8 x 1.4826 x 5.9 % is more than the move
    ],
)
def test_a_move_is_like_a_splits(move: float, usual: float, span: float, split: int) -> None:
    row = derived(daily({PLACE: move}, usual, span))
    assert row["since_split"] == split


def test_a_move_beyond_a_level_is_another_company() -> None:
    assert derived(daily({PLACE: 1.495}))["since_shift"] == 0
    assert derived(daily({PLACE: 1.505}))["since_shift"] == 1


def test_a_recorded_split_explains_a_move_and_no_other_company() -> None:
    split = pd.DataFrame({"symbol": ["KO"], "session": [DAYS[PLACE]], "ratio": [2.0]})
    facts = BarFacts(FACTS.sessions, splits=split)
    for left, shift in ((-0.5, 0), (-1.45, 0), (-1.55, 1)):
        frame = daily({PLACE: left - np.log(2)})
        assert derive_bars("bars_daily", frame, facts).iloc[PLACE]["since_shift"] == shift


def failed(report: QualityReport) -> list[str]:
    return [check.expectation for check in report.failed]


def test_a_jump_is_told_from_25_robust_volatilities_on() -> None:
    for sigmas, told in ((24.9, []), (25.1, ["jump"])):
        frame = daily({PLACE: -sigmas * 1.4826 * 0.01})
        assert failed(validate_bars("bars_daily", frame, FACTS)) == told


def minute(*moments: object) -> pd.DataFrame:
    row = {"open": 60.0, "high": 60.0, "low": 60.0, "close": 60.0, "volume": 1}
    return pd.DataFrame([{"symbol": "KO", "ts": pd.Timestamp(ts), **row} for ts in moments])


@pytest.mark.parametrize(("move", "spike"), [(0.049, 0), (0.051, 1)])
def test_a_minute_that_leaves_by_five_percent_and_comes_back_is_a_spike(
    move: float, spike: int
) -> None:
    opens = session_on(date(2024, 3, 8)).open
    frame = minute(*(opens + timedelta(minutes=number) for number in range(9)))
    frame.loc[4, ["open", "high", "low", "close"]] *= np.exp(move)
    assert derive_bars("bars_minute", frame, FACTS)["spike"].tolist()[4] == spike


def test_a_batch_of_which_more_than_half_cannot_be_used_is_stopped() -> None:
    frame = daily({})
    for bad, told in ((62, False), (63, True)):  # of 124
        broken = frame.assign(volume=np.where(np.arange(len(frame)) < bad, -1, 7))
        stops = validate_bars("bars_daily", broken, FACTS).stopped
        assert ("refused_share" in {check.expectation for check in stops}) == told


@pytest.mark.parametrize("day", [date(2024, 3, 8), date(2024, 3, 11)])  # winter and summer time
def test_a_session_has_its_hours_before_and_after_regular_ones(day: date) -> None:
    local = [(3, 59), (4, 0), (9, 30), (19, 59), (20, 0)]
    frame = minute(*(at_exchange_time(day, hour, at) for hour, at in local))
    assert derive_bars("bars_minute", frame, FACTS)["outside"].tolist() == [1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("day", "table", "expected"),
    [
        (date(2024, 3, 11), "bars_minute", 390),
        (date(2024, 7, 3), "bars_minute", 210),
        (date(2024, 3, 11), "bars_1h", 7),
        (date(2024, 7, 3), "bars_1h", 4),
    ],
)
def test_a_score_expects_the_bars_of_regular_hours(day: date, table: str, expected: int) -> None:
    session = session_on(day)
    last = session.close - timedelta(minutes=1)
    frame = minute(session.open, last, session.close)
    sessions = sessions_between(day, day + timedelta(days=7))
    report = validate_bars("bars_minute", frame, BarFacts(sessions))
    [counted] = score_counts(table, frame, report, sessions).to_dict("records")
    assert (counted["session"], counted["expected"], counted["received"]) == (day, expected, 2), (
        "the minute from the close on is none of it, nor are the days after the last row"
    )
