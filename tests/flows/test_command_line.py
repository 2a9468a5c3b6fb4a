"""The command line as scripts use it: exit code 2 and one object for what cannot be meant."""

import json

import pytest

from flows.cli import run


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROBO_HOME", str(tmp_path))


def test_wrong_settings_end_a_gateway_verb_with_one_error(tmp_path, capsys):
    (tmp_path / ".env").write_text("ROBO_MODE=foo\n")
    assert run(["gateway", "status"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("robo: error") == 1
    assert "ROBO_MODE is 'foo'" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("words", [["gateway", "--help"], ["gateway", "status", "--help"]])
def test_help_needs_no_good_settings(tmp_path, capsys, words):
    (tmp_path / ".env").write_text("ROBO_MODE=foo\n")
    with pytest.raises(SystemExit) as ended:
        run(words)
    assert ended.value.code == 0
    assert "Usage: robo gateway" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--bogus", "--json"],
        ["nonsense", "--json"],
        ["retrain", "--folds", "1", "--json"],
        ["execute", "--session", "soon", "--json"],
        ["gateway", "advance", "--json"],
        ["ingest", "--symbol", "a;b", "--json"],
    ],
)
def test_wrong_usage_with_json_is_one_object(capsys, words):
    assert run(words) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 2
    assert told["kind"] == "InvalidInput"
    assert told["error"]


def test_a_symbol_on_the_command_line_is_named_as_that(capsys):
    with pytest.raises(SystemExit) as ended:
        run(["ingest", "--symbol", "a;b"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--symbol: 'A;B' is no symbol" in said
    assert "ROBO_UNIVERSE" not in said


@pytest.mark.parametrize(
    ("mode", "advice"), [("simulated", "run make demo"), ("paper", "run robo reconcile")]
)
def test_status_of_an_account_not_seen_yet(monkeypatch, capsys, mode, advice):
    monkeypatch.setenv("ROBO_MODE", mode)
    with pytest.raises(SystemExit) as ended:
        run(["status"])
    assert ended.value.code == 0
    assert advice in capsys.readouterr().out
