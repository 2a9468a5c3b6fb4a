"""Processes of our own: ports, logs, and a stop that takes the helpers along."""

import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput, RetryLater
from tasks.leases.session_lease import is_running
from tasks.processes import (
    Service,
    answers_http,
    free_port,
    is_listening,
    module_command,
    require_free,
)

HOST = "127.0.0.1"


def start(tmp_path: Path, code: str, **environment: str) -> Service:
    return Service.start("helper", [sys.executable, "-c", code], tmp_path / "log", environment)


def wait_for(condition, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def test_a_taken_port_is_named_with_its_user_and_its_setting():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = f"port {port} on 127.0.0.1, which the gateway's API needs, is in use.*ROBO_PORT"
        with pytest.raises(InvalidInput, match=words):
            require_free(HOST, port, "the gateway's API", "ROBO_PORT")
        assert is_listening(HOST, port)
    require_free(HOST, port, "the gateway's API", "ROBO_PORT")
    assert not is_listening(HOST, port)
    assert not is_listening(HOST, free_port())


def test_output_is_appended_and_its_end_is_shown(tmp_path):
    (tmp_path / "log").write_text("earlier\n")
    service = start(
        tmp_path, "import os; [print(i, os.environ['WORD']) for i in range(30)]", WORD="x"
    )
    assert wait_for(lambda: service.exit_code == 0)
    assert service.tail(2) == "28 x\n29 x"
    assert (tmp_path / "log").read_text().startswith("earlier\n0 x")
    assert Service("gone", None, tmp_path / "nothing").tail() == ""


def test_a_service_that_dies_while_starting_tells_why(tmp_path):
    service = start(tmp_path, "import sys; print('no disk'); sys.exit(3)")
    with pytest.raises(RetryLater, match=r"helper ended with code 3(?s:.*)no disk"):
        service.wait_until(lambda: False, 20)


def test_a_service_that_is_late_is_stopped(tmp_path):
    service = start(tmp_path, "print('slow', flush=True); import time; time.sleep(60)")
    with pytest.raises(RetryLater, match=r"not ready within 0\.5 s"):
        service.wait_until(lambda: False, 0.5)
    assert service.exit_code is not None


def test_a_ready_service_is_returned_at_once(tmp_path):
    service = start(tmp_path, "import time; time.sleep(60)")
    try:
        looks: list[int] = []
        service.wait_until(lambda: looks.append(1) is None, 20)
        assert looks == [1]
        assert service.exit_code is None
    finally:
        service.stop()


FAMILY = """
import os, signal, subprocess, sys, time
if os.environ["STUBBORN"] == "yes":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"
    "time.sleep(60)"], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("stubborn", ["yes", "no"])
def test_a_stop_ends_the_whole_group_even_what_ignores_it(tmp_path, stubborn):
    """The helper ignores a polite stop in both; the parent only when it is stubborn."""
    service = start(tmp_path, FAMILY, STUBBORN=stubborn)
    assert wait_for(lambda: service.tail().strip().isdigit())
    helper = int(service.tail())
    assert is_running(helper)
    service.stop(grace=0.3)
    assert service.exit_code is not None
    assert wait_for(lambda: not alive(helper))
    service.stop()  # again: nothing is left to do


def alive(pid: int) -> bool:
    """Say whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_id_is_told_alive_or_gone(tmp_path):
    assert is_running(os.getpid())
    assert is_running(1)
    service = start(tmp_path, "pass")
    assert wait_for(lambda: service.exit_code == 0)
    assert not is_running(service.pid)


def test_only_a_good_http_answer_counts():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/good" else 500)
            self.end_headers()

        def log_message(self, *_args):
            pass

    server = HTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://{HOST}:{server.server_port}"
        assert answers_http(f"{url}/good")
        assert not answers_http(f"{url}/bad")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not answers_http(f"{url}/good")


def test_our_own_python_runs_the_module():
    assert module_command("json.tool", "--help") == [sys.executable, "-m", "json.tool", "--help"]
