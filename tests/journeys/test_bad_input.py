"""What an operator can get wrong: each time an exit code, and a text that says what to do."""

import json
import socket
import sqlite3
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(400)]

HOLD = (
    "import duckdb, sys, time; held = duckdb.connect(sys.argv[1]); "
    "print('held', flush=True); time.sleep(99)"
)


def test_help_needs_nothing(new_home):
    home = new_home()
    assert "execute" in home.robo("--help")
    assert list(home.folder.iterdir()) == []


def test_doctor_in_a_fresh_home(new_home):
    home = new_home()
    findings = json.loads(home.robo("doctor", "--json"))["findings"]
    health = {finding["subject"]: finding["health"] for finding in findings}
    assert health["Python"] == health["packages"] == health["settings"] == "ok"
    assert health["ledger"] == "ok"
    assert health["warehouse"] == health["gateway"] == "not there yet"
    assert "broken" not in health.values()
    assert all(finding["mend"] for finding in findings if finding["health"] != "ok")


def test_misspelt_mode(new_home):
    text = new_home(ROBO_MODE="lvie").robo("status", code=2)
    assert "ROBO_MODE" in text
    assert "'lvie'" in text
    assert "simulated, paper or live" in text


def test_unknown_setting(new_home):
    text = new_home(ROBO_GATEWAY_SPED="60").robo("status", code=2)
    assert "did you mean ROBO_GATEWAY_SPEED?" in text


def test_corrupt_dotenv(new_home):
    home = new_home()
    (home.folder / ".env").write_text("# mine\nROBO_SLICES=4\nthis is = no 'setting\n")
    text = home.robo("status", code=2)
    assert ".env line 3" in text


def test_binary_dotenv(new_home):
    home = new_home()
    (home.folder / ".env").write_bytes(bytes(range(256)))
    assert ".env.example" in home.robo("status", code=2)


@pytest.mark.parametrize("verb", ["status", "rebalance"])
def test_home_below_a_file(new_home, tmp_path, verb):
    obstacle = tmp_path / "a-file"
    obstacle.write_text("no folder")
    home = new_home()
    text = home.robo(verb, code=2, ROBO_HOME=str(obstacle / "x"))
    assert str(obstacle) in text
    assert "ROBO_HOME" in text


def test_newer_ledger_is_refused(new_home):
    home = new_home()
    home.robo("status")
    with sqlite3.connect(home.ledger_file) as connection:
        newest = "SELECT 999, name, checksum, applied_at FROM schema_migrations LIMIT 1"
        connection.execute(
            f"INSERT INTO schema_migrations (version, name, checksum, applied_at) {newest}"
        )
    text = home.robo("status", code=2)
    assert "newer version" in text
    assert "999" in text
    assert str(home.ledger_file) in text


def test_wrong_usage(new_home):
    home = new_home()
    home.robo("no-such-verb", code=2)
    home.robo("retrain", "--folds", "1", code=2)
    home.robo("execute", "--session", "tomorrow", code=2)


def test_ports_in_use(new_home):
    home = new_home()
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", home.ports["ROBO_MLFLOW_PORT"]))
        squatter.listen()
        text = home.robo("serve", code=2)
    assert str(home.ports["ROBO_MLFLOW_PORT"]) in text
    assert "ROBO_MLFLOW_PORT" in text


def test_no_gateway(home):
    home.plan()
    for verb in ("execute", "reconcile", "rebalance"):
        text = home.robo(verb, code=1)
        assert "robo gateway run" in text, verb
    assert home.ledger("SELECT DISTINCT state FROM parents") == [("NEW",)]
    answer = json.loads(home.robo("ingest", "--json", code=1).splitlines()[-1])
    assert answer["exit_code"] == 1
    assert "robo gateway run" in answer["error"]


@pytest.mark.lasts(12)
def test_unknown_symbol_then_a_held_warehouse(home):
    home.start_gateway()
    text = home.robo("ingest", "--symbol", "NOSUCH", "--symbol", "KO", code=2)
    assert "NOSUCH" in text
    assert "--symbol" in text
    assert "ROBO_UNIVERSE" not in text
    assert "ib_async" not in text
    warehouse = home.state / "warehouse.duckdb"
    command = [sys.executable, "-c", HOLD, str(warehouse)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline().strip() == "held"
            text = home.robo("ingest", "--symbol", "KO", code=1, ROBO_LOCK_DEADLINE="1")
        finally:
            holder.kill()
    assert str(warehouse) in text
    assert str(holder.pid) in text
    assert "nothing new" in home.robo("ingest", "--symbol", "KO")


def test_halt_without_a_gateway_still_halts(new_home):
    home = new_home()
    text = home.robo("halt", "--reason", "gateway is gone", code=1)
    assert "could NOT be cancelled" in text
    assert "gateway is gone" in json.loads(home.robo("status", "--json"))["halt"]
    text = home.robo("resume", "--reason", "it is back", code=3)
    assert "no reconciliation passed" in text  # what the account holds is not known
    assert "gateway is gone" in json.loads(home.robo("status", "--json"))["halt"]
