"""`robo limits` and `robo orders`: text and JSON, exit codes, and errors that say what to do."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tasks.limits import adopt_limits
from tasks.settings import load_settings
from tasks.stores import open_ledger


@pytest.fixture
def robo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    limits = tmp_path / "limits.toml"
    limits.write_text("max_rejects = 4\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROBO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ROBO_LIMITS_FILE", str(limits))

    def run(*words: str, code: int = 0):
        shown = CliRunner().invoke(app, [*words])
        assert shown.exit_code == code, shown.output
        return shown.output

    return run


def adopt(by: str, text: str) -> None:
    settings = load_settings()
    settings.limits_path.write_text(text)
    with open_ledger(settings) as ledger:
        adopt_limits(settings.limits_path, ledger, by, datetime.now(UTC))


def test_show_tells_the_file_and_whether_it_has_a_version(robo):
    assert "not used yet" in robo("limits", "show")
    adopt("ann", "max_rejects = 4\n")
    text = robo("limits", "show")
    assert "version 1" in text and "by ann" in text and "max_rejects = 4" in text
    facts = json.loads(robo("limits", "show", "--version", "1", "--json"))
    assert facts["limits"]["max_rejects"] == "4"
    assert len(facts["sha256"]) == 64
    assert "no limits version 7" in robo("limits", "show", "--version", "7", code=2)


def test_history_and_diff_tell_who_changed_what(robo):
    assert "no version yet" in robo("limits", "history")
    assert "run robo rebalance first" in robo("limits", "diff", code=2)
    adopt("ann", "max_rejects = 4\n")
    adopt("bob", "max_rejects = 3\n")
    first, second = robo("limits", "history").strip().splitlines()
    assert "the first version" in first
    assert "by bob" in second and second.endswith("max_rejects 4 -> 3")
    assert robo("limits", "diff", "1", "2").strip() == "max_rejects: 4 -> 3"
    assert "set the same limits" in robo("limits", "diff")
    load_settings().limits_path.write_text("max_rejects = 9\n")
    assert robo("limits", "diff").strip() == "max_rejects: 3 -> 9"
    versions = json.loads(robo("limits", "history", "--json"))["versions"]
    assert [(v["version"], v["by"]) for v in versions] == [(1, "ann"), (2, "bob")]


def test_a_wrong_file_is_named_with_key_value_and_range(robo):
    load_settings().limits_path.write_text("max_rejects = -4\n")
    shown = robo("limits", "show", code=2)
    assert "max_rejects is -4; give a whole number from 1 to 100" in shown


def test_a_symbol_is_disabled_and_enabled_by_hand(robo):
    assert "KO is disabled: odd fills" in robo("limits", "disable", "KO", "--reason", "odd fills")
    assert "already" in robo("limits", "disable", "KO", "--reason", "again")
    assert "disabled symbol KO: odd fills" in robo("limits", "show")
    assert "disabled is: KO" in robo("limits", "enable", "PEP", "--reason", "x", code=2)
    assert "KO may trade again" in robo("limits", "enable", "KO", "--reason", "settled")
    assert robo("limits", "enable", "KO", "--reason", "x", code=2)


def test_a_symbol_is_meant_whatever_its_letters_and_a_misspelt_one_is_refused(robo):
    assert "KO is disabled" in robo("limits", "disable", "ko", "--reason", "odd fills")
    with open_ledger(load_settings()) as ledger:
        ledger.halts.halt("news", "ann", datetime.now(UTC), symbol="PEP")
    shown = robo("status")
    assert "trading       not halted, but for what follows" in shown
    assert "halted        PEP, by ann" in shown
    assert "disabled      symbol KO, by " in shown
    assert "KO may trade again" in robo("limits", "enable", "ko", "--reason", "settled")
    for verb in (("limits", "disable", "NOSUCH"), ("halt", "--symbol", "nosuch")):
        refused = robo(*verb, "--reason", "a typo", code=2)
        assert "NOSUCH is neither among ROBO_UNIVERSE nor held" in refused
    with open_ledger(load_settings()) as ledger:
        assert [halt.symbol for halt in ledger.halts.in_force()] == ["PEP"]
        assert ledger.disablements.current() == ()


def test_orders_says_what_to_do_when_there_are_none(robo):
    assert "`robo rebalance` plans them" in robo("orders", code=2)
    told = json.loads(robo("orders", "--json", code=2))
    assert told["exit_code"] == 2
