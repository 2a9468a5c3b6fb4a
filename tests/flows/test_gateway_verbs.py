"""`robo gateway ...` takes its defaults from the settings, and says so when it cannot."""

import sys

import pytest

from flows.cli import CONTROL_VERBS, gateway_defaults
from gateway.cli import app


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Settings of a mode, with ports of their own and no .env."""

    def of(mode, *words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ROBO_HOME", str(tmp_path))
        monkeypatch.setenv("ROBO_MODE", mode)
        monkeypatch.setenv("ROBO_PORT", "4711")
        monkeypatch.setenv("ROBO_CONTROL_PORT", "4712")
        monkeypatch.setattr(sys, "argv", ["robo", "gateway", *words])
        return gateway_defaults()

    return of


def test_every_verb_that_speaks_to_the_gateway_speaks_to_the_configured_one(settings):
    defaults = settings("simulated", "status")
    assert {defaults[verb]["control_port"] for verb in CONTROL_VERBS} == {4712}
    assert (defaults["run"]["port"], defaults["run"]["control_port"]) == (4711, 4712)
    names = {c.name or c.callback.__name__ for c in app.registered_commands}
    assert names == {*CONTROL_VERBS, "run", "record", "compare"}


def test_another_mode_says_that_the_gateway_stands_apart(settings, capsys):
    assert settings("paper", "run") == {}
    said = capsys.readouterr().err
    assert "the mode is paper" in said
    assert "ROBO_MODE=simulated" in said
    assert settings("paper", "status") == {}
    assert capsys.readouterr().err == ""
