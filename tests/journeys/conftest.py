"""A trader's machine in a temporary folder, where `robo` and the gateway are real processes."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ib_async import IB

from models.domain.orders import ParentOrder, Side
from warehouse.ledger import OrderLedger

FIRST_DAY = date(2022, 12, 29)  # the first session after the shipped history
PLAN = {"AAPL": (150, "126"), "JPM": (140, "133"), "KO": (300, "63"), "XOM": (180, "108")}
PORTS = ("ROBO_PORT", "ROBO_CONTROL_PORT", "ROBO_PREFECT_PORT", "ROBO_MLFLOW_PORT")
OURS = ("ROBO_", "PREFECT_", "MLFLOW_", "GX_")
Fork = Callable[[list[str], dict[str, str], Path], Any]


def free_ports(count: int) -> list[int]:
    """Different TCP ports that nothing listens on at this moment."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _take_ctrl_c() -> None:
    """A shell that runs the tests in the background has its children ignore Ctrl-C; undo it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """A process with a group of its own; its lines, errors too, are kept as they come."""

    def __init__(self, popen: Any) -> None:
        self.lines: list[str] = []
        self._popen = popen
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def start(cls, command: list[str], environment: dict[str, str], folder: Path) -> "Process":
        """Run a command."""
        return cls(
            subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                preexec_fn=_take_ctrl_c,
            )
        )

    def _read(self) -> None:
        self.lines.extend(iter(self._popen.stdout.readline, ""))

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, mark: str, timeout: float = 90) -> str:
        """Return the first line that holds `mark`; fail with all lines when none comes."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self._popen.poll() is not None and not self._reader.is_alive()
            for line in list(self.lines):
                if mark in line:
                    return line
            assert not ended, f"ended with {self._popen.returncode} before {mark!r}:\n{self.text}"
            assert time.monotonic() < deadline, f"no {mark!r} in {timeout} s:\n{self.text}"
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, as a terminal does."""
        os.killpg(self._popen.pid, number)

    def wait(self, timeout: float = 120) -> int:
        """Return the exit code once it has ended."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {timeout} s:\n{self.text}")
        self._reader.join(10)
        return code

    def end(self) -> None:
        """Kill what is left of the group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


class Home:
    """One folder of state, four free ports, and every process that a test starts with them."""

    def __init__(self, folder: Path, settings: dict[str, str], fork: Fork | None = None) -> None:
        self.folder = folder
        self.fork = fork  # None: every verb is an interpreter of its own
        folder.mkdir(parents=True, exist_ok=True)
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.ports = {name: int(port) for name, port in ports.items()}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        pace = {"ROBO_GATEWAY_SPEED": "3600", "ROBO_GATEWAY_SEED": "7"}
        self.environment = kept | pace | ports | {"ROBO_HOME": str(folder)} | settings
        self.gateway: Process | None = None
        self._started: list[Process] = []

    @property
    def state(self) -> Path:
        return self.folder / "var" / "simulated"

    @property
    def ledger_file(self) -> Path:
        return self.state / "ledger.sqlite"

    def start(self, *arguments: str, **settings: str) -> Process:
        """Start `robo ...` and return at once."""
        environment = self.environment | {k: v for k, v in settings.items() if v}
        return self.launch(["-m", "flows.cli", *arguments], environment)

    def launch(
        self, program: list[str], environment: dict[str, str], folder: Path | None = None
    ) -> Process:
        """Start what one writes after `python`; it ends with this home."""
        folder = folder or self.folder
        if self.fork is None:
            command = [sys.executable, "-u", *program]
            process = Process.start(command, environment, folder)
        else:
            process = Process(self.fork(program, environment, folder))
        self._started.append(process)
        return process

    def robo(self, *arguments: str, code: int = 0, timeout: float = 150, **settings: str) -> str:
        """Run `robo ...` to its end, require the exit code, and return all that it wrote."""
        process = self.start(*arguments, **settings)
        found = process.wait(timeout)
        assert found == code, f"robo {' '.join(arguments)} ended with {found}:\n{process.text}"
        return process.text

    def start_gateway(self, speed: float = 3600) -> Process:
        """Start `robo gateway run` on this home's ports and return once it listens."""
        options = {
            "--port": self.ports["ROBO_PORT"],
            "--control-port": self.ports["ROBO_CONTROL_PORT"],
            "--seed": self.environment["ROBO_GATEWAY_SEED"],
            "--speed": speed,
            "--state-dir": self.state / "gateway",
        }
        words = [str(word) for option in options.items() for word in option]
        self.gateway = self.start("gateway", "run", *words)
        self.gateway.wait_for("gateway ready")
        return self.gateway

    def plan(self, orders: dict[str, tuple[int, str]] = PLAN) -> None:
        """Put one buy order per symbol, {symbol: (shares, decision price)}, into the ledger."""
        opening = datetime(2022, 12, 29, 14, 35, tzinfo=UTC)
        parents = [
            ParentOrder(
                parent_id=f"{FIRST_DAY:%Y%m%d}-ml-{symbol}",
                session=FIRST_DAY,
                strategy="ml",
                symbol=symbol,
                side=Side.BUY,
                quantity=shares,
                algo="TWAP",
                start=opening,
                end=opening.replace(hour=20, minute=55),
                decision_price=Decimal(price),
                decided_at=opening.replace(hour=13),
                model_version="journey/1",
            )
            for symbol, (shares, price) in orders.items()
        ]
        with OrderLedger(f"sqlite:///{self.ledger_file}", 10.0) as ledger:
            ledger.parents.replace_plan(FIRST_DAY, "ml", parents, {})

    def ledger(self, query: str) -> list[tuple]:
        """Rows of the order ledger, read past the code that wrote them."""
        connection = sqlite3.connect(f"file:{self.ledger_file}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def broker_executions(self) -> dict[str, tuple[str, int]]:
        """What the gateway shows a plain client: {execution id: (order reference, shares)}."""
        return asyncio.run(_shown(self.ports["ROBO_PORT"]))[0]

    def working_orders(self) -> list[str]:
        """The order references that the gateway shows a plain client as working."""
        return asyncio.run(_shown(self.ports["ROBO_PORT"]))[1]

    def survivors(self) -> dict[int, str]:
        """Every living process, {pid: command}, whose environment names this home."""
        mark = f"ROBO_HOME={self.folder}\0".encode()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes() + b"\0":
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command:
                        found[int(entry.name)] = command
        return found

    def listening(self) -> list[str]:
        """The variables of this home's ports that something listens on."""
        taken = []
        for name, port in self.ports.items():
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
                taken.append(name)
        return taken

    def end(self) -> None:
        """End all that was started here, and what that has left behind."""
        for process in reversed(self._started):
            process.end()
        for pid in self.survivors():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def _shown(port: int) -> tuple[dict[str, tuple[str, int]], list[str]]:
    client = IB()
    await client.connectAsync("127.0.0.1", port, clientId=99, readonly=True)
    try:
        shown = [fill.execution for fill in await client.reqExecutionsAsync()]
        working = [trade.order.orderRef for trade in await client.reqAllOpenOrdersAsync()]
        return {one.execId: (one.orderRef, int(one.shares)) for one in shown}, working
    finally:
        client.disconnect()


@contextmanager
def _prefect_server(folder: Path) -> Iterator[str]:
    """Run a Prefect server on the database in `folder`; give the URL of its API."""
    server, url = _start_prefect(folder)
    try:
        wait_until(lambda: answers(f"{url}/health"), 120)
        yield url
    finally:
        server.end()


def _start_prefect(folder: Path, port: int = 0) -> tuple[Process, str]:
    port = port or free_ports(1)[0]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    environment |= {"PREFECT_HOME": str(folder), "DO_NOT_TRACK": "true"}
    environment |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-scheduler", "--no-late-runs"]
    command = [sys.executable, "-m", "prefect", "server", "start", *options]
    server = Process.start(command, environment, folder)
    return server, f"http://127.0.0.1:{port}/api"


@pytest.fixture
def prefect_of(tmp_path: Path, household: Any) -> Iterator[Callable[..., tuple[Process, str]]]:
    """Start a Prefect server of a test's own, which it may kill, and start again where it was."""
    started: list[Process] = []
    places: dict[Process, tuple[Path, int]] = {}

    def start(again: Process | None = None) -> tuple[Process, str]:
        folder, port = places.get(again, (tmp_path / f"prefect-{len(started)}", 0))
        if again is None:
            folder.mkdir()
            shutil.copy(household.folder / "fresh.db", folder / "prefect.db")
        server, url = _start_prefect(folder, port)
        started.append(server)
        places[server] = folder, int(url.rpartition(":")[2].partition("/")[0])
        wait_until(lambda: answers(f"{url}/health"), 120)
        return server, url

    yield start
    for server in started:
        server.end()


@pytest.fixture(scope="session")
def prefect_url(household: Any) -> str:
    """One Prefect server for all verbs."""
    return household.prefect_url


@pytest.fixture
def new_home(tmp_path: Path) -> Iterator[Callable[..., Home]]:
    """Make homes below the test's folder; all of their processes end with the test."""
    made: list[Home] = []

    def make(name: str = "home", **settings: str) -> Home:
        made.append(Home(tmp_path / name, settings))
        return made[-1]

    yield make
    for home in made:
        home.end()


@pytest.fixture
def home(new_home: Callable[..., Home], prefect_url: str, household: Any) -> Home:
    """A fresh home; its verbs are forked, and recorded by the shared Prefect server."""
    home = new_home(PREFECT_API_URL=prefect_url)
    home.fork = household.fork
    return home


@pytest.fixture
def traded_home(shared_folder: Path, locked: Callable[..., Any]) -> Iterator[Home]:
    """A home as its first `robo demo --json` left it (the answer is in `answer.json`).

    The day is traded once for all test processes. Each test gets that state in the same folder,
    because MLflow keeps absolute paths; so one test at a time has it.
    """
    folder, kept = shared_folder / "demo-home", shared_folder / "demo-state"
    with locked(shared_folder / "demo.lock"):
        if not kept.exists():
            _trade_first_day(folder)
            shutil.copytree(folder, kept)
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        home = Home(folder, {})
        try:
            yield home
        finally:
            home.end()


def _trade_first_day(folder: Path) -> None:
    home = Home(folder, {})
    try:
        answer = home.robo("demo", "--json", timeout=240)
        assert home.survivors() == {}
        (folder / "answer.json").write_text(answer)
    finally:
        home.end()


@pytest.fixture
def its_prefect(traded_home: Home) -> Iterator[str]:
    """A Prefect server on the traded home's own records, which its verbs use from now on."""
    with _prefect_server(traded_home.folder / "var" / "prefect") as url:
        traded_home.environment["PREFECT_API_URL"] = url
        yield url


@pytest.fixture
def ask() -> Callable[..., object]:
    """Ask a Prefect API: a GET, or a POST when there is a body."""
    return _ask


def answers(url: str) -> bool:
    """Say whether an HTTP GET succeeds."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as reply:
        return reply.status == 200
    return False


def _ask(url: str, body: object = None, **headers: str) -> object:
    data = None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **names})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def wait_until(holds: Callable[[], object], timeout: float) -> None:
    """Return once `holds()`; fail when it does not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout} s in vain"
        time.sleep(0.1)
