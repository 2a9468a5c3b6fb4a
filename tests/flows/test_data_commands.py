"""`robo data` as a person or a script meets it: tables, charts that open offline, quarantine."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.sessions import session_dates
from warehouse.market import MarketWarehouse
from warehouse.market.maintenance import retain_market

NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAYS = session_dates(date(2024, 1, 2), date(2024, 1, 31))
HOLE = date(2024, 1, 16)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MarketWarehouse:
    """Daily bars of KO without one session, one of PEP in quarantine, scores of both."""
    monkeypatch.setenv("ROBO_HOME", str(tmp_path))
    made = MarketWarehouse(tmp_path / "var" / "simulated" / "warehouse.duckdb")
    frame = pd.DataFrame({"symbol": "KO", "session": DAYS, "open": 60.0, "high": 61.0})
    frame = frame.assign(low=59.0, close=60.5, volume=range(1, len(DAYS) + 1))
    made.bars.merge_daily(frame[frame["session"] != HOLE], "test", NOW)
    odd = frame.iloc[[3]].assign(symbol="PEP")
    made.quarantine.add(
        "bars_daily", odd, ["the price leaves and comes back"], "run", NOW, expectations=["spike"]
    )
    counts = pd.DataFrame({"symbol": "KO", "session": DAYS, "expected": 1, "received": 1})
    counts = counts.assign(accepted=1, warned=0)
    counts.loc[counts["session"] == HOLE, ["received", "accepted"]] = 0
    made.scores.record("bars_daily", counts, "run", NOW)
    return made


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["data", *words])
    assert result.exit_code == code, result.output
    return result.output


def facts(*words: str) -> dict:
    return json.loads(run(*words, "--json"))


def test_the_list_has_units_and_scores(warehouse: MarketWarehouse) -> None:
    rows = {row["symbol"]: row for row in facts("list")["rows"]}
    assert rows["KO"]["rows"] == len(DAYS) - 1 and rows["KO"]["last"] == "2024-01-31"
    assert rows["KO"]["score"] == pytest.approx(100 * (len(DAYS) - 1) / len(DAYS))
    assert rows["PEP"]["quarantined"] == 1
    text = run("list")
    assert "score (0-100)" in text and "quarantined rows" in text


def test_the_list_has_five_second_bars(warehouse: MarketWarehouse) -> None:
    moments = pd.date_range("2024-01-31 14:30", periods=12, freq="5s", tz="UTC")
    bars = pd.DataFrame({"symbol": "KO", "ts": moments, "open": 60.0, "high": 61.0, "low": 59.0})
    warehouse.seconds.merge(bars.assign(close=60.5, volume=100), "test", NOW)
    (row,) = (row for row in facts("list")["rows"] if row["table"] == "bars_5s")
    assert (row["symbol"], row["rows"], row["last"]) == ("KO", 12, "2024-01-31 14:30:55")


def test_larger_bars_are_drawn_when_their_minutes_are_gone(warehouse: MarketWarehouse) -> None:
    moments = pd.date_range("2024-01-31 14:30", periods=390, freq="1min", tz="UTC")
    bars = pd.DataFrame({"symbol": "KO", "ts": moments, "open": 60.0, "high": 61.0, "low": 59.0})
    warehouse.minutes.merge(bars.assign(close=60.5, volume=100), "test", NOW)
    retain_market(warehouse.store, date(2024, 2, 1), None, True, lambda _text: None)
    assert "there are no 1m bars of KO" in run("show", "KO", "--timeframe", "1m", code=2)
    assert facts("show", "KO", "--timeframe", "5m")["bars"] == 78


def test_a_chart_shows_candles_and_gaps_without_a_network(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    out = tmp_path / "ko.html"
    shown = facts("show", "KO", "--out", str(out))
    assert (shown["bars"], shown["gaps"]) == (len(DAYS) - 1, [str(HOLE)])
    page = out.read_text()
    assert "Plotly.newPlot" in page and "candlestick" in page and str(HOLE) in page
    assert '<script src="http' not in page
    assert "1 missing (first 2024-01-16)" in run("show", "KO", "--out", str(out))


def test_a_chart_marks_splits_and_shows_adjusted_bars(
    warehouse: MarketWarehouse, tmp_path: Path
) -> None:
    split = CorporateAction("KO", date(2024, 1, 24), ActionKind.SPLIT, 4.0)
    warehouse.actions.merge([split], "file", NOW)
    raw, adjusted = tmp_path / "raw.html", tmp_path / "adjusted.html"
    run("show", "KO", "--out", str(raw))
    run("show", "KO", "--adjusted", "--out", str(adjusted))
    assert "split, 4 for 1" in raw.read_text() and "15.125" not in raw.read_text()
    assert "adjusted for splits to 2024-01-31" in adjusted.read_text()
    assert "15.125" in adjusted.read_text(), "60.50 USD in shares of the last day"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "NOPE"), "no 1d bars of NOPE"),
        (("show", "KO", "--timeframe", "2d"), "give --timeframe 1m, 5m"),
        (("show", "KO", "--timeframe", "5m"), "no 5m bars of KO"),
        (("show", "KO", "--timeframe", "5m", "--adjusted"), "--adjusted is for daily bars"),
        (("show", "KO", "--from", "2024-02-01", "--to", "2024-01-02"), "exchange them"),
        (("show", "KO", "--to", "2023-01-10"), "it has some from 2024-01-02"),
        (("coverage", "--table", "bars_minute"), "no day of bars_minute"),
        (("quarantine", "release", "--reason", "because"), "name rows by id"),
        (("import-ticks", "/nowhere"), "holds no ticks"),
    ],
)
def test_wrong_input_says_what_to_do(
    warehouse: MarketWarehouse, words: tuple[str, ...], told: str
) -> None:
    assert told in run(*words, code=2)


def test_coverage_is_a_heat_map_of_scores(warehouse: MarketWarehouse, tmp_path: Path) -> None:
    out = tmp_path / "coverage.html"
    found = facts("coverage", "--out", str(out))
    assert found["symbols"][0]["empty_days"] == 1
    assert '"type":"heatmap"' in out.read_text()


def test_quarantine_is_listed_and_released(warehouse: MarketWarehouse) -> None:
    (row,) = facts("quarantine", "list")["rows"]
    assert row["symbol"] == "PEP" and row["reason"] == "the price leaves and comes back"
    assert facts("quarantine", "release", row["id"], "--reason", "checked it") == {"released": 1}
    assert warehouse.bars.last_sessions()["PEP"] == DAYS[3]
    assert "nothing is quarantined" in run("quarantine", "list")
    assert facts("quarantine", "list", "--all")["rows"][0]["released"]


def test_stored_bars_are_checked_without_being_moved(warehouse: MarketWarehouse) -> None:
    spike = (
        warehouse.bars.daily(["KO"])
        .iloc[[5]]
        .assign(open=180.0, high=183.0, low=177.0, close=181.5)
    )
    warehouse.bars.merge_daily(spike, "test", NOW)
    (row,) = facts("check", "--symbol", "KO")["rows"]
    assert (row["bar"], row["reason"]) == (
        str(DAYS[5]), "the price leaves and comes back a bar later",
    )  # fmt: skip
    assert len(warehouse.bars.daily(["KO"])) == len(DAYS) - 1
    assert warehouse.scores.of("bars_daily", "KO", DAYS[5], DAYS[5])["score"].tolist() == [0.0]
    assert "no bars of NOPE" in run("check", "--symbol", "NOPE", code=2)


def test_rules_are_listed_with_severity(warehouse: MarketWarehouse) -> None:
    rules = {(row["table"], row["rule"]): row for row in facts("rules")["rows"]}
    assert rules["bars_daily", "spike"]["severity"] == "quarantine"
    assert rules["quotes", "wide"]["allowed"] == "<= 500 bps"
