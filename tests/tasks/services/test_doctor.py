"""The check-up tells each thing as in order, not there yet or broken, and how to mend it."""

import importlib.metadata
import socket
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.domain.errors import RoboError
from tasks.processes import free_port
from tasks.services import doctor
from tasks.services.doctor import Health, check_up
from tasks.stores import open_ledger, open_warehouse

NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home of its own, and ports where nothing listens."""
    home = tmp_path / "home"
    monkeypatch.setenv("ROBO_HOME", str(home))
    monkeypatch.setenv("ROBO_PORT", str(free_port()))
    monkeypatch.setenv("ROBO_CONTROL_PORT", str(free_port()))
    monkeypatch.setenv("ROBO_PREFECT_PORT", str(free_port()))
    monkeypatch.setenv("ROBO_MLFLOW_PORT", str(free_port()))
    monkeypatch.setenv("ROBO_BROKER_TIMEOUT", "1")
    monkeypatch.setenv("ROBO_LOCK_DEADLINE", "1")
    return home


def findings():
    return {finding.subject: finding for finding in check_up()}


def test_a_fresh_machine_is_in_order_with_things_not_there_yet(home):
    found = findings()
    assert {s for s, f in found.items() if f.health is Health.BROKEN} == set()
    assert {s for s, f in found.items() if f.health is Health.ABSENT} == {
        "warehouse",
        "model registry",
        "gateway",
        "gateway control",
        "Prefect API",
        "MLflow UI",
    }
    assert all(f.mend for f in found.values() if f.health is not Health.OK), "each says what to do"
    assert "USD an order" in found["risk limits"].seen


def test_a_wrong_setting_ends_the_check_up_with_its_name(home, monkeypatch):
    monkeypatch.setenv("ROBO_SLICES", "many")
    found = findings()
    assert list(found) == ["Python", "packages", "settings"]
    assert found["settings"].health is Health.BROKEN
    assert "ROBO_SLICES is 'many'" in found["settings"].seen


def test_an_old_python_and_a_missing_package_are_broken(home, monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 0))
    real = importlib.metadata.version

    def version(name):
        if name == "lightgbm":
            raise importlib.metadata.PackageNotFoundError
        return real(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    python, packages = doctor._python(), doctor._packages()
    assert (python.health, python.seen) == (Health.BROKEN, "3.9.0")
    assert (packages.health, packages.seen) == (Health.BROKEN, "missing: lightgbm")


def test_a_home_that_is_a_file_is_broken(home):
    home.parent.mkdir(exist_ok=True)
    home.touch()
    found = findings()
    assert found["state folder"].health is Health.BROKEN
    assert found["ledger"].health is Health.BROKEN


def test_missing_limits_are_broken(home, monkeypatch):
    monkeypatch.setenv("ROBO_LIMITS_FILE", str(home / "none.toml"))
    assert findings()["risk limits"].health is Health.BROKEN


def test_a_halt_is_told_with_its_way_out(home):
    from tasks.settings import load_settings

    settings = load_settings()
    with open_ledger(settings) as ledger:
        ledger.halts.halt("enough", "tester", NOW)
    found = findings()["ledger"]
    assert "halted: everything, by tester" in found.seen
    assert found.seen.endswith("enough")
    assert "robo resume --reason" in found.mend


def test_a_halted_and_a_disabled_symbol_are_told_with_what_lifts_each(home):
    from tasks.settings import load_settings

    settings = load_settings()
    with open_ledger(settings) as ledger:
        ledger.disablements.disable(
            "symbol", "PEP", reason="odd fills", by="tester", at=NOW, session=NOW.date()
        )
        found = findings()["ledger"]
        assert (found.health, found.seen) == (Health.HALTED, "disabled: symbol PEP (odd fills)")
        assert "robo limits enable" in found.mend
        ledger.halts.halt("news", "tester", NOW, symbol="KO")
    found = findings()["ledger"]
    assert found.health is Health.HALTED
    assert "KO, by tester" in found.seen
    assert found.mend.startswith("robo resume --symbol KO --reason")


def test_a_corrupt_ledger_is_broken(home):
    from tasks.settings import load_settings

    path = load_settings().state_dir / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database" * 100)
    found = findings()
    assert found["ledger"].health is Health.BROKEN
    assert "not a usable SQLite file" in found["ledger"].seen
    assert "restore a backup" in found["ledger"].mend
    assert found["model registry"].health is Health.UNCHECKED, "one cause, one broken line"
    assert "ledger" in found["model registry"].seen


def test_stored_bars_are_counted(home, make_bars):
    from tasks.settings import load_settings

    bars = make_bars(symbols=["KO", "PEP"], first=date(2022, 12, 1))
    store = open_warehouse(load_settings())
    store.bars.merge_daily(bars, "test", NOW)
    found = findings()["warehouse"]
    assert found.health is Health.OK
    assert f"{len(bars):,} bars of 2 symbols" in found.seen


def test_a_gateway_port_that_something_else_has_is_broken(home, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("ROBO_PORT", str(other.getsockname()[1]))
        held = []
        thread = threading.Thread(target=lambda: held.extend(other.accept() for _ in range(2)))
        thread.start()
        found = findings()["gateway"]
        thread.join()
        for connection, _address in held:
            connection.close()
    assert found.health is Health.BROKEN
    assert "no gateway answers" in found.seen


def test_a_check_that_fails_on_its_own_is_a_finding(home, monkeypatch):
    def dies(_settings):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(doctor, "_warehouse", dies)
    found = findings()["warehouse"]
    assert (found.health, found.seen) == (Health.BROKEN, "ZeroDivisionError: oops")


@pytest.mark.parametrize(
    ("subject", "variable"),
    [
        ("Prefect API", "ROBO_PREFECT_PORT"),
        ("MLflow UI", "ROBO_MLFLOW_PORT"),
        ("gateway control", "ROBO_CONTROL_PORT"),
    ],
)
def test_a_foreign_program_on_a_port_is_said(home, monkeypatch, subject, variable):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv(variable, str(other.getsockname()[1]))
        thread = threading.Thread(target=hang_up, args=(other,), daemon=True)
        thread.start()
        found = findings()[subject]
        other.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert found.health is Health.BROKEN
    assert "is held by a program that is no" in found.seen
    assert variable in found.mend


def hang_up(listener):
    """Be a program that takes connections and says nothing of what we speak."""
    try:
        while True:
            connection, _address = listener.accept()
            connection.sendall(b"what?\n")
            connection.close()
    except OSError:
        return


def test_a_promoted_model_whose_files_are_gone_is_broken(home):
    from tasks.settings import load_settings

    with open_ledger(load_settings()) as ledger:
        ledger.models.record_manifest(
            "robo-daily-ranker", "1:m-1", {"MLmodel": "a" * 64}, run_id="r", metrics={}, at=NOW
        )
    found = findings()["model registry"]
    assert found.health is Health.BROKEN
    assert "robo-daily-ranker 1:m-1, promoted 2022-12-29" in found.seen
    assert "robo retrain" in found.mend


def test_what_is_wrong_and_what_to_do_are_told_apart():
    assert doctor.told(RoboError("it broke (a; b); mend it; then go on")) == (
        "it broke (a; b)",
        "mend it; then go on",
    )
    assert doctor.told(RoboError("no advice")) == ("no advice", "")
