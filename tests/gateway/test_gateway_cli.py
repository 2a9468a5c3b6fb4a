"""The command line: clear words and exit codes for what cannot work."""

import json
import socket
import subprocess
import sys
import time
from datetime import datetime

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli_progress import session_seconds, words
from gateway.options import GatewayOptions
from models.domain.errors import InvalidInput

runner = CliRunner()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("host", "0.0.0.0"),
        ("port", 70000),
        ("port", 4998),
        ("speed", 0),
        ("speed", 4000),
        ("clock", "fast"),
        ("server_version", 156),
        ("seed", -1),
        ("cash", 0),
    ],
)
def test_options_that_cannot_work_are_named(tmp_path, option, value):
    with pytest.raises(InvalidInput, match=f"--{option.replace('_', '-')}.*{value}"):
        GatewayOptions(tmp_path, **{option: value})


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--host", "192.168.0.1"], 2, "loopback"),
        (["--start", "2022-12-31"], 2, "2022-12-29"),
        (["--start", "soon"], 2, "YYYY-MM-DD"),
        (["--start", "1999-01-04"], 2, "2022-12-29"),
        (["--source", "bars:nowhere.csv"], 2, "nowhere.csv"),
        (["--source", "tape:x"], 2, "lobster:MESSAGES,BOOK"),
    ],
)
def test_run_refuses_with_exit_code_two(tmp_path, arguments, code, says):
    result = runner.invoke(app, ["run", "--state-dir", str(tmp_path / "s"), *arguments])
    assert result.exit_code == code
    assert says in result.output


def test_a_port_in_use_says_which_option_to_change(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ["run", "--state-dir", str(tmp_path), "--port", port, "--control-port", "0"]
        result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert f"--port {port} is in use" in result.output


def test_a_second_gateway_on_the_same_state_is_refused(shared_gateway, tmp_path, start_gateway):
    start_gateway(tmp_path / "one")
    arguments = ["--port", "0", "--control-port", "0", "--state-dir", str(tmp_path / "one")]
    result = runner.invoke(app, ["run", *arguments])
    assert result.exit_code == 1
    assert "another gateway (pid" in result.output


def test_another_seed_on_the_same_state_is_refused(tmp_path, start_gateway):
    start_gateway(tmp_path).stop()
    arguments = ["--port", "0", "--control-port", "0", "--state-dir", str(tmp_path), "--seed", "8"]
    result = runner.invoke(app, ["run", *arguments])
    assert result.exit_code == 2
    assert "--seed 7, not 8" in result.output


def test_status_advance_and_stop(tmp_path, start_gateway):
    gateway = start_gateway(tmp_path)
    where = ["--control-port", str(gateway.control_port)]
    shown = runner.invoke(app, ["status", *where]).output
    assert "account SIM0000001" in shown
    assert "orders: 0 working of 0 today; 0 executions" in shown
    told = json.loads(runner.invoke(app, ["status", "--json", *where]).output)
    assert told["account"] == "SIM0000001"
    active = json.loads(runner.invoke(app, ["faults", "--active", "--json", *where]).output)
    assert active == {"active": []}
    opened = runner.invoke(app, ["advance", "--to", "next-open", *where])
    assert opened.output.strip() == "2022-12-29T14:30:00.000000+00:00"
    bad = runner.invoke(app, ["advance", "--to", "2000-01-01T00:00:00+00:00", *where])
    assert (bad.exit_code, "cannot go back" in bad.output) == (2, True)
    assert runner.invoke(app, ["stop", *where]).exit_code == 0
    assert gateway.process.wait(10) == 0
    gone = runner.invoke(app, ["status", *where])
    assert (gone.exit_code, "no gateway answers" in gone.output) == (1, True)
    gone = runner.invoke(app, ["status", "--json", *where])
    told = json.loads(gone.output)
    assert (gone.exit_code, told["exit_code"], told["kind"]) == (1, 1, "RetryLater")


def test_an_advance_ends_after_its_timeout_and_lets_go_of_the_clock(tmp_path, start_gateway):
    where = ["--control-port", str(start_gateway(tmp_path, "--speed", "1").control_port)]
    assert runner.invoke(app, ["advance", "--to", "next-open", *where]).exit_code == 0
    ended = runner.invoke(app, ["advance", "--to", "next-close", "--timeout", "0.6", *where])
    assert ended.exit_code == 1
    assert "market time has come to 2022-12-29T14:30:0" in ended.output
    for _ in range(100):
        told = json.loads(runner.invoke(app, ["status", "--json", *where]).output)
        if not told["holders"]:
            break
        time.sleep(0.05)
    assert (told["holders"], told["running"]) == ([], False)


def test_progress_counts_sessions_only():
    start = datetime.fromisoformat("2022-12-29T20:00:00+00:00")
    assert session_seconds(start, datetime.fromisoformat("2023-01-03T15:00:00+00:00")) == 28_800
    status = {"now": start.isoformat(), "speed": 1.0, "clock": "free", "holders": []}
    assert "60.0 wall minutes left (speed 1)" in words(status, "2022-12-29T21:00:00+00:00")
    held = status | {"holders": [{"name": "soak", "target": None}]}
    assert "waits for soak" in words(held, "2022-12-29T21:00:00+00:00")


def test_the_kinds_of_faults_as_one_object():
    listed = json.loads(runner.invoke(app, ["faults", "--json"]).output)["faults"]
    assert all(kind["summary"] for kind in listed)


def test_the_command_line_imports_no_heavy_package():
    code = (
        "import sys, gateway.cli; "
        "print([m for m in ('numpy', 'pandas', 'scipy', 'exchange_calendars') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
