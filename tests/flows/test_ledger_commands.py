"""`robo ledger` and `robo explain` as a person or a script meets them: text, JSON, exit codes."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from models.domain.orders import Fill, Side
from warehouse.ledger import OrderLedger
from warehouse.market import MarketWarehouse

NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROBO_HOME", str(tmp_path))
    return tmp_path / "var" / "simulated"


@pytest.fixture
def ledger_file(folder: Path) -> Path:
    """A ledger with an opening of 5 KO, 10 bought, 12 sold, and closes in the warehouse."""
    path = folder / "ledger.sqlite"
    with OrderLedger(f"sqlite:///{path}") as ledger:
        ledger.accounts.record_opening("SIM1", Decimal(1000), {"KO": 5}, NOW)
        for number, (side, shares, price) in enumerate(
            [(Side.BUY, 10, "50"), (Side.SELL, 12, "60")]
        ):
            fill = Fill(f"e{number}.01", "", "KO", side, shares, Decimal(price), NOW, 7)
            ledger.executions.record(fill, "SIM1")
            ledger.executions.record_commission(f"e{number}.01", Decimal("0.50"))
    closes = pd.DataFrame({"symbol": "KO", "session": [date(2022, 12, 28), date(2022, 12, 29)]})
    closes = closes.assign(open=40.0, high=80.0, low=30.0, close=[40.0, 70.0], volume=100)
    MarketWarehouse(folder / "warehouse.duckdb").bars.merge_daily(closes, "test", NOW)
    return path


def robo(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


def test_check_audits_and_counts_profit_both_ways(ledger_file: Path) -> None:
    code, shown = robo("ledger", "check", "--json")
    found = json.loads(shown)
    assert (code, found["audit"]["contradictions"]) == (0, [])
    (ko,) = found["pnl"]["symbols"]
    # Opening at the close before it: 5 at 40, then 10 at 50; 12 sold at 60; 3 left at 70 USD.
    assert Decimal(ko["fifo"]["realised"]) == 5 * 20 + 7 * 10
    assert Decimal(ko["fifo"]["unrealised"]) == 3 * 20
    total = Decimal(ko["average"]["realised"]) + Decimal(ko["average"]["unrealised"])
    assert abs(total - 230) < Decimal("1e-7")
    assert Decimal(found["pnl"]["cash"]) == 1000 - 500 + 720 - 1
    assert Decimal(found["pnl"]["worth"]) == 1219 + 210
    code, text = robo("ledger", "check")
    assert code == 0
    for piece in ("contradictions  none", "2 external", "realised 170.00 USD", "2022-12-29"):
        assert piece in text


def test_given_marks_and_costs_win(ledger_file: Path) -> None:
    code, shown = robo("ledger", "check", "--json", "--mark", "ko=100", "--cost", "KO=60")
    (ko,) = json.loads(shown)["pnl"]["symbols"]
    assert (code, Decimal(ko["mark"])) == (0, 100)
    assert Decimal(ko["fifo"]["realised"]) == 7 * 10
    (ledger_file.parent / "warehouse.duckdb").unlink()
    code, text = robo("ledger", "check")
    assert "give --mark KO=PRICE" in text and "give --cost KO=PRICE" in text
    assert "unknown" in text


def test_a_contradiction_fails_the_check_and_is_named(ledger_file: Path) -> None:
    with closing(sqlite3.connect(ledger_file)) as raw:
        raw.execute("UPDATE executions SET price = '1' WHERE exec_id = 'e0.01'")
        raw.commit()
    code, text = robo("ledger", "check")
    assert code == 1
    assert "executions e0.01 was altered" in text and "what to do" in text


@pytest.mark.parametrize("wrong", ["KO", "KO=", "=5", "KO=NaN", "KO=-1", "KO=abc", "KO=0"])
def test_a_wrong_mark_is_wrong_input(folder: Path, wrong: str) -> None:
    code, text = robo("ledger", "check", "--mark", wrong)
    assert code == 2 and "--mark AAPL=189.25" in text
    assert not folder.exists()


def test_backup_restore_and_export_go_round(ledger_file: Path, tmp_path: Path) -> None:
    code, shown = robo("ledger", "backup", "--json")
    done = json.loads(shown)
    assert code == 0 and Path(done["path"]).parent == ledger_file.parent / "backups"
    code, text = robo("ledger", "restore", done["path"])
    assert code == 2 and "--force" in text
    ledger_file.write_bytes(b"rubbish" * 1000)
    code, text = robo("status")
    assert code == 2 and "robo ledger restore" in text
    code, text = robo("ledger", "restore", done["path"], "--force")
    assert code == 0 and "the former ledger is kept as" in text and "trading is halted" in text
    code, text = robo("status")
    assert code == 0 and "HALTED" in text and "robo reconcile" in text
    code, text = robo("ledger", "export", str(tmp_path / "out"))
    assert code == 0 and "2 rows" in text and "kB" in text
    assert (tmp_path / "out" / "manifest.json").is_file()
    code, text = robo("ledger", "export", str(tmp_path / "a"), "--to", str(tmp_path / "b"))
    assert code == 2 and "two folders were given" in text
    assert not (tmp_path / "a").exists()


def test_halt_all_without_flatten_halts_and_says_what_all_is_for(ledger_file: Path) -> None:
    """Nobody who wants to stop is refused over a word; no gateway answers here."""
    code, text = robo("halt", "--all", "--reason", "stop it")
    assert code == 2
    assert "robo halt --flatten --all" in text and "no position was closed" in text
    _, text = robo("status")
    assert "HALTED" in text and "stop it" in text


def test_a_ledger_of_a_newer_version_is_left_alone(ledger_file: Path) -> None:
    with closing(sqlite3.connect(ledger_file)) as raw:
        raw.execute("INSERT INTO schema_migrations VALUES (999, 'later', 'x', 'y')")
        raw.commit()
    before = ledger_file.read_bytes()
    for verb in (["ledger", "check"], ["ledger", "backup"], ["explain", "e0.01"], ["status"]):
        code, text = robo(*verb)
        assert code == 2 and "written by a newer version" in text, verb
    assert ledger_file.read_bytes() == before


def test_explain_answers_in_text_and_json_and_refuses_the_unknown(ledger_file: Path) -> None:
    code, text = robo("explain", "e0.01")
    assert code == 0 and "EXTERNAL" in text and "BUY 10 shares KO at 50 USD" in text
    code, shown = robo("explain", "e0.01", "--json")
    assert code == 0 and json.loads(shown)["external"] is True
    code, text = robo("explain", "e0.02")
    assert code == 2 and "near it are e0.01" in text
