"""`robo warehouse`: exit codes, JSON, and what a person reads."""

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from warehouse.market import MarketWarehouse


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("ROBO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ROBO_HOME", str(tmp_path))
    monkeypatch.setenv("ROBO_CLOCK", "wall")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "var" / "simulated" / "warehouse.duckdb"


@pytest.fixture
def filled(place: Path) -> MarketWarehouse:
    row = {"symbol": "KO", "session": date(2024, 1, 3), "open": 1.0, "high": 2.0, "low": 0.5}
    frame = pd.DataFrame([row | {"close": 1.5, "volume": 5}])
    warehouse = MarketWarehouse(place)
    warehouse.bars.merge_daily(frame, "x", datetime(2024, 1, 5, tzinfo=UTC))
    return warehouse


def robo(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["warehouse", *words])
    return done.exit_code, done.stdout or done.stderr


def test_check_hashes_and_tells_what_is_wrong(filled: MarketWarehouse) -> None:
    code, said = robo("check")
    assert code == 0, said
    assert "no problem was found" in said
    with duckdb.connect(str(filled.path)) as outside:
        outside.execute("UPDATE bars_daily SET low = 1.2")
    code, said = robo("check", "--json")
    facts = json.loads(said)
    assert code == 1
    assert "prices or volume cannot be" in facts["problems"][0]
    assert facts["tables"]["bars_daily"]["rows"] == 1


def test_there_and_back_again(filled: MarketWarehouse, tmp_path: Path) -> None:
    code, said = robo("backup", str(tmp_path / "copy.duckdb"), "--json")
    assert code == 0, said
    whole = json.loads(said)["sha256"]
    code, said = robo("export", "--to", str(tmp_path / "out"), "--json")
    assert code == 0 and json.loads(said)["sha256"] == whole
    assert robo("restore", str(tmp_path / "copy.duckdb"))[0] == 2
    code, said = robo("restore", str(tmp_path / "copy.duckdb"), "--force")
    assert code == 0 and "is kept as" in said
    assert robo("import", str(tmp_path / "out"))[0] == 2
    filled.path.unlink()
    code, said = robo("import", str(tmp_path / "out"), "--json")
    assert code == 0 and json.loads(said)["sha256"] == whole
    code, said = robo("compact")
    assert code == 0 and "the content is the same" in said
    code, said = robo("retain", "--days", "30")
    assert code == 0 and "bars_minute: 0 rows" in said


def test_without_a_warehouse_every_verb_says_what_to_do(place: Path, tmp_path: Path) -> None:
    for words in (["check"], ["backup"], ["compact"], ["export"], ["retain", "--days", "9"]):
        code, said = robo(*words)
        assert code == 2, said
    assert not place.exists()
    assert robo("restore", str(tmp_path / "nothing"))[0] == 2


def test_a_lake_is_named_by_a_setting(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("duckdb_extension_ducklake", reason="the lake is not installed")
    monkeypatch.setenv("ROBO_WAREHOUSE", f"ducklake:sqlite:{tmp_path / 'catalog.sqlite'}")
    code, said = robo("check")
    assert code == 0, said
    code, said = robo("backup")
    assert code == 2
    assert not place.exists()
    monkeypatch.setenv("ROBO_WAREHOUSE", "ducklake:postgres:host=x password=y")
    assert robo("check")[0] == 2
