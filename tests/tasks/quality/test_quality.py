"""Quality: good bars pass, every kind of damage is found by its own rule, with what it does."""

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.domain.sessions import session_dates, sessions_between
from tasks.quality import (
    BAR_COLUMNS,
    BarFacts,
    QualityReport,
    validate_bars,
    validate_daily_bars,
    warm_up,
)
from tasks.quality.batches import validate_actions, validate_instruments, validate_ticks
from tasks.quality.docs_folders import KEPT_RUNS, tidy
from tasks.quality.policy import suites

FIRST, LAST = date(2020, 1, 2), date(2020, 12, 31)
CALENDAR = session_dates(FIRST, LAST)
Maker = Callable[..., pd.DataFrame]
Damage = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def good(make_bars: Maker) -> pd.DataFrame:
    return make_bars(symbols=["AAPL", "KO", "XOM"], first=FIRST, last=LAST)


@pytest.fixture
def bars(good: pd.DataFrame) -> pd.DataFrame:
    return good.copy()


def failed(report: QualityReport) -> dict[str, str]:
    return {check.expectation: str(check.severity) for check in report.failed}


def test_good_bars_pass_every_check(bars: pd.DataFrame) -> None:
    report = validate_daily_bars(bars, CALENDAR)
    assert report.success and report.failed == () and report.refused == () == report.warned
    assert report.rows == len(bars) == 3 * len(CALENDAR)
    assert len({check.label for check in report.checks}) == len(report.checks) > 25
    report.require("bars", bars)


def _set(column: str, value: object) -> Damage:
    def apply(frame: pd.DataFrame) -> pd.DataFrame:
        if isinstance(value, str):
            frame[column] = frame[column].astype(object)
        frame.loc[30, column] = value
        return frame

    return apply


def _scaled(factor: float, rows: Callable[[pd.DataFrame], pd.Series]) -> Damage:
    def apply(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[rows(frame), ["open", "high", "low", "close"]] *= factor
        return frame

    return apply


def _zeros(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[frame["symbol"] == "KO", ["open", "high", "low", "close"]] = 0.0
    return frame


def _without(first: date, last: date) -> Damage:
    def apply(frame: pd.DataFrame) -> pd.DataFrame:
        gone = (frame["session"] >= first) & (frame["session"] <= last)
        return frame[~(gone & (frame["symbol"] == "XOM"))]

    return apply


def _contradicted(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[[30]].assign(volume=1)], ignore_index=True)


def _frozen(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame.index[frame["symbol"] == "KO"][20:30]
    names = ["open", "high", "low", "close", "volume"]
    frame.loc[rows, names] = frame.loc[rows[0], names].to_numpy()
    return frame


def _later(frame: pd.DataFrame) -> pd.Series:
    return (frame["symbol"] == "KO") & (frame["session"] >= date(2020, 6, 1))


# name, damage, rule that finds it, refused rows
DAMAGE = [
    ("low above all", _set("low", 1e6), "low", 1),
    ("high below all", _set("high", 0.0001), "high", 1),
    ("NaN", _set("close", np.nan), "filled_close", 1),
    ("infinite", _set("close", np.inf), "positive_close", 1),
    ("negative price", _set("open", -1.0), "positive_open", 1),
    ("zero price", _set("open", 0.0), "positive_open", 1),
    ("negative volume", _set("volume", -1), "volume", 1),
    ("no symbol", _set("symbol", None), "filled_symbol", 1),
    ("holiday", _set("session", date(2020, 7, 4)), "session", 1),
    ("future", _set("session", date(2021, 1, 4)), "session", 1),
    ("text", _set("close", "expensive"), "filled_close", 1),
    ("a moment for a date", _set("session", pd.Timestamp("2020-03-02 10:00")), "session", 1),
    ("spike", _scaled(3.0, lambda f: f.index == 90), "spike", 1),
    ("other company", _scaled(7.3, _later), "level_shift", 150),
    ("copy", lambda f: pd.concat([f, f.iloc[[30]]], ignore_index=True), "copy", 1),
    ("contradiction", _contradicted, "unique", 2),
    ("year of zeros", _zeros, "positive_close", 253),
    ("weeks missing", _without(date(2020, 6, 1), date(2020, 6, 30)), "gap", 0),
    ("day missing", _without(date(2020, 6, 2), date(2020, 6, 2)), "gap", 0),
    ("split in adjusted prices", _scaled(0.25, _later), "split_suspected", 0),
    ("frozen", _frozen, "stale", 0),
    ("out of order", lambda f: f.iloc[::-1], "time_order", 0),
]


@pytest.mark.parametrize(("damage", "rule", "refused"), [d[1:] for d in DAMAGE],
                         ids=[d[0] for d in DAMAGE])  # fmt: skip
def test_damage_is_found(bars: pd.DataFrame, damage: Damage, rule: str, refused: int) -> None:
    report = validate_daily_bars(damage(bars), CALENDAR)
    assert rule in failed(report), report.failed
    assert len(report.refused) == refused and not report.stopped
    assert (failed(report)[rule] == "quarantine") == bool(refused)


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda frame: frame.drop(columns="open"), "columns"),
        (lambda frame: frame.iloc[:0], "rows"),
        (lambda frame: frame.assign(close=-1.0), "refused_share"),
    ],
)
def test_a_useless_batch_is_stopped(bars: pd.DataFrame, damage: Damage, rule: str) -> None:
    damaged = damage(bars)
    report = validate_daily_bars(damaged, CALENDAR)
    assert rule in {check.expectation for check in report.stopped}
    with pytest.raises(InvalidInput, match="nothing was merged"):
        report.require("these bars", damaged)


def test_an_engine_that_fails_stops_the_batch(bars: pd.DataFrame) -> None:
    report = validate_daily_bars(bars.drop(columns="open"), CALENDAR)
    broken = [check for check in report.stopped if check.exception]
    assert broken and all("filled" in b.expectation or b.column for b in broken)


def test_refused_rows_are_named_by_place_whatever_the_index(bars: pd.DataFrame) -> None:
    bars.index = pd.Index(np.arange(len(bars)) + 1000)
    bars.iloc[[30, 45], bars.columns.get_loc("volume")] = -7
    report = validate_daily_bars(bars, CALENDAR)
    assert [(row.position, row.reason) for row in report.refused] == [
        (30, "volume is below 0"),
        (45, "volume is below 0"),
    ]


def _judge(bars: pd.DataFrame, **facts: object) -> QualityReport:
    return validate_bars("bars_daily", bars, BarFacts(sessions_between(FIRST, LAST), **facts))


def test_a_missed_split_is_quarantined_until_it_is_recorded(bars: pd.DataFrame) -> None:
    unadjusted = _scaled(0.25, _later)(bars)
    missed = _judge(unadjusted)
    assert failed(missed)["split_missed"] == "quarantine"
    assert {unadjusted["symbol"].iloc[row.position] for row in missed.refused} == {"KO"}
    assert min(unadjusted["session"].iloc[r.position] for r in missed.refused) == date(2020, 6, 1)
    split = pd.DataFrame({"symbol": ["KO"], "session": [date(2020, 6, 1)], "ratio": [4.0]})
    assert _judge(unadjusted, splits=split).success


def test_stored_bars_before_the_batch_count(bars: pd.DataFrame) -> None:
    before = bars[bars["session"] < date(2020, 6, 1)]
    after = _scaled(7.3, _later)(bars)
    batch = after[after["session"] >= date(2020, 6, 3)]  # two sessions are missing, and 7.3 times
    alone, with_context = _judge(batch), _judge(batch, before=before)
    assert alone.success
    assert set(failed(with_context)) >= {"gap", "level_shift"}
    assert with_context.rows == len(batch)


def test_another_source_and_a_symbol_that_ends_early_are_told(bars: pd.DataFrame) -> None:
    other = bars[["symbol", "session", "close"]].copy()
    other.loc[30, "close"] *= 1.03
    short = bars[~((bars["symbol"] == "XOM") & (bars["session"] > date(2020, 12, 1)))]
    report = _judge(short, other=other, newest=True)
    assert set(failed(report)) == {"agreement", "behind"} and report.refused == ()


def _minutes(day: date, drop: int = 0) -> pd.DataFrame:
    session = sessions_between(day, day)[0]
    ts = pd.date_range(session.open, session.close, freq="min", inclusive="left")
    price = 100 + np.sin(np.arange(len(ts)) / 9)
    frame = pd.DataFrame(
        {"symbol": "KO", "ts": ts, "open": price, "high": price + 0.1, "low": price - 0.1,
         "close": price + 0.01, "volume": np.arange(len(ts)) + 1}
    )  # fmt: skip
    return frame.drop(index=range(100, 100 + drop)).reset_index(drop=True)


def test_minutes_are_judged_against_hours_and_half_days() -> None:
    half_day = date(2020, 11, 27)
    facts = BarFacts(sessions_between(FIRST, LAST))
    assert validate_bars("bars_minute", _minutes(half_day), facts).success
    frame = _minutes(half_day, drop=30)
    frame.loc[5, "ts"] += pd.Timedelta(seconds=7)
    frame.loc[len(frame) - 1, "ts"] = pd.Timestamp("2020-11-28 15:00", tz="UTC")  # a Saturday
    report = validate_bars("bars_minute", frame, facts)
    assert failed(report) == {"aligned": "quarantine", "session": "quarantine", "gap": "warn"}
    assert sorted(row.position for row in report.refused) == [5, len(frame) - 1]


def test_instruments_actions_and_ticks_have_suites() -> None:
    instruments = pd.DataFrame(
        {"symbol": ["KO", "KO"], "con_id": [1, 2], "primary_exchange": ["NYSE", ""],
         "currency": ["USD", "usd"], "listed": [date(2000, 1, 3), None],
         "delisted": [date(1999, 1, 4), None]}
    )  # fmt: skip
    assert set(failed(validate_instruments(instruments))) == {
        "unique", "currency", "dates", "exchange",
    }  # fmt: skip
    splits = pd.DataFrame({"symbol": ["KO"], "session": [date(2020, 7, 4)], "ratio": [1.0]})
    assert set(failed(validate_actions("splits", splits, CALENDAR))) == {"changes", "session"}
    day = sessions_between(date(2020, 6, 1), date(2020, 6, 1))
    ts = [day[0].open + pd.Timedelta(seconds=n) for n in (1, 3, 2, 12 * 3600)]
    trades = pd.DataFrame({"symbol": "KO", "ts": ts, "price": [50, 0, 50.1, 50], "size": 100.0})
    found = failed(validate_ticks("trades", trades, day))
    assert found == {"positive_price": "quarantine", "time_order": "warn", "session": "quarantine"}


def test_severities_are_changed_in_one_file_and_checked(tmp_path: Path, bars: pd.DataFrame) -> None:
    file = tmp_path / "quality.toml"
    file.write_text('[bars_daily.gap]\nseverity = "stop"\nhigh = 3\n')
    found = {rule.name: rule for rule in suites(file)["bars_daily"]}["gap"]
    assert (found.severity, found.high) == ("stop", 3)
    damaged = _without(date(2020, 6, 1), date(2020, 6, 30))(bars)
    facts = BarFacts(sessions_between(FIRST, LAST))
    assert validate_bars("bars_daily", damaged, facts, policy=file).stopped
    for text, told in (
        ("[bars_weekly.gap]\n", "no table bars_weekly"),
        ("[bars_daily.gaps]\n", "no rule gaps"),
        ('[bars_daily.high]\nseverity = "warn"\n', "guards what every reader relies on"),
        ('[bars_daily.gap]\nseverity = "loud"\n', "write for example"),
        ("[bars_daily.gap\n", "write for example"),
    ):
        file.write_text(text)
        with pytest.raises(InvalidInput, match=told):
            suites(file)


def test_the_data_docs_are_written(tmp_path: Path, bars: pd.DataFrame) -> None:
    facts = BarFacts(sessions_between(FIRST, LAST))
    report = validate_bars("bars_daily", bars, facts, docs=tmp_path / "docs")
    assert report.docs.startswith(f"file://{tmp_path}/docs/")
    again = validate_bars("bars_daily", bars, facts, docs=tmp_path / "docs")
    assert report.docs != again.docs, "each run has pages of its own"
    for page in (report.docs, again.docs):
        assert "bars_daily" in Path(page.removeprefix("file://")).read_text()


def test_the_data_docs_of_the_newest_runs_are_kept(tmp_path: Path) -> None:
    base = tmp_path / "docs"
    folders = [base / f"20240102T0930{second:02}000000Z" for second in range(KEPT_RUNS + 2)]
    for folder in (*folders, base / "mine"):
        folder.mkdir(parents=True)
    tidy(folders[-1])
    assert sorted(base.iterdir()) == [*folders[2:], base / "mine"]


def test_whole_history_validates_in_about_a_second(make_bars: Maker) -> None:
    whole = make_bars()
    calendar = session_dates(whole["session"].min(), whole["session"].max())
    warm_up()
    started = time.process_time()
    report = validate_daily_bars(whole[list(BAR_COLUMNS)], calendar)
    assert report.refused == () and report.rows > 160_000
    assert time.process_time() - started < 5.0
