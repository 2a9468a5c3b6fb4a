"""Processes of our own: start them, wait until they answer, stop them and all they started."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from models.domain.errors import InvalidInput, RetryLater

STOP_GRACE = 10.0


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_listening(host: str, port: int, timeout: float = 1.0) -> bool:
    """Say whether something accepts TCP connections there."""
    with suppress(OSError), socket.create_connection((host, port), timeout):
        return True
    return False


def require_free(host: str, port: int, what: str, variable: str) -> None:
    """Raise InvalidInput that names the port, what wants it and the setting that moves it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidInput(
                f"port {port} on {host}, which {what} needs, is in use ({error.strerror}); stop "
                f"the program that has it, or set {variable} to another port"
            ) from error


def answers_http(url: str, headers: Mapping[str, str] | None = None, timeout: float = 2.0) -> bool:
    """Say whether an HTTP GET of `url` succeeds."""
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - our own URL
    with (
        suppress(OSError, http.client.HTTPException),  # the second: it speaks, but not HTTP
        urllib.request.urlopen(request, timeout=timeout) as reply,  # noqa: S310 - our own URL
    ):
        return 200 <= reply.status < 300
    return False


def start_ticks(pid: int) -> str:
    """Return the kernel's start time of a running process, empty for none (or one just ended).

    A process id is given again; with its start time it names one process. Without /proc the id
    alone has to do.
    """
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except OSError:
            return ""
        return "unknown"
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]  # proc(5): state is field 3, starttime 22


def started_at(pid: int) -> datetime | None:
    """Return when (UTC, by the kernel's clock) a running process was started, None if unknown."""
    ticks = start_ticks(pid)
    if not ticks.isdigit():
        return None
    up = float(Path("/proc/uptime").read_text().split()[0])
    age = up - int(ticks) / os.sysconf("SC_CLK_TCK")
    return datetime.now(UTC) - timedelta(seconds=age)


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this environment's own Python."""
    return [sys.executable, "-m", module, *arguments]


class Service:
    """One child process in a process group of its own, its output in a log file.

    The group is what gets stopped: helpers that outlive a killed parent go with it, and a Ctrl-C
    at the terminal reaches only the process that supervises.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> Service:
        """Start `command` with `environment` on top of our own; its output is appended to `log`.

        Raises InvalidInput when the log cannot be written.
        """
        with _open_log(name, log) as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(environment),
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def wait_until(self, is_ready: Callable[[], bool], timeout: float) -> None:
        """Return once `is_ready()` holds; RetryLater with the log's end when it dies or is late."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.exit_code is not None:
                raise RetryLater(
                    f"{self.name} ended with code {self.exit_code} while it started; the end of "
                    f"its log {self.log}:\n{self.tail()}"
                )
            if is_ready():
                return
            time.sleep(0.1)
        self.stop()
        raise RetryLater(
            f"{self.name} was not ready within {timeout:g} s; see its log {self.log}\n{self.tail()}"
        )

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, grace: float = STOP_GRACE) -> None:
        """End the process group: SIGTERM first, SIGKILL for what is left after `grace` seconds."""
        self.ask_to_stop()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._signal(signal.SIGKILL)  # helpers that stayed in the group

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process group and return at once."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _open_log(name: str, log: Path) -> BinaryIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError as error:
        raise InvalidInput(
            f"the log of the {name}, {log}, cannot be written ({error.strerror}); make its folder "
            "writable, or set ROBO_HOME to a folder that is"
        ) from error
