"""The order of the tests, the long journeys first, and processes that start in no time."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from warehouse.ledger import OrderLedger


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, shared among the workers; the others fill up what each has.

    Every worker comes to the same order, as xdist demands. Who runs out takes from the others.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    others = [item for item in items if not _is_long(item)]
    share = -(-len(items) // workers)
    shares = _long_shares([item for item in items if _is_long(item)], workers)
    items.clear()
    for long in shares:
        short = max(0, share - len(long))
        items += [*long, *others[:short]]
        del others[:short]
    items += others


def _is_long(item: pytest.Item) -> bool:
    return "journeys" in item.path.parts or item.get_closest_marker("lasts") is not None


def _long_shares(long: list[pytest.Item], workers: int) -> list[list[pytest.Item]]:
    """Give each worker about as many seconds, and first what need not wait for the household.

    Tests that take turns with one home follow each other on one worker, instead of having others
    wait for them.
    """
    in_turns = [item for item in long if "traded_home" in _fixtures(item)]
    units = [[item] for item in long if item not in in_turns] + [in_turns]
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for unit in sorted(units, key=_seconds, reverse=True):
        min(shares, key=_seconds).extend(unit)
    return [sorted(share, key=lambda item: "household" in _fixtures(item)) for share in shares]


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


def _seconds(items: list[pytest.Item]) -> float:
    """About how long tests take alone on a machine; a journey that does not say so, 6 s."""
    marks = [item.get_closest_marker("lasts") for item in items]
    return sum(float(mark.args[0]) if mark else 6.0 for mark in marks)


class Forked:
    """A process of a nursery, with what is used of `subprocess.Popen`."""

    def __init__(
        self, nursery: Path, arguments: list[str], *, merged: bool = False, **fields: object
    ) -> None:
        outputs = [os.pipe()] * 2 if merged else [os.pipe() for _ in range(2)]
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(str(nursery))
        said = json.dumps({"arguments": arguments} | fields).encode()
        socket.send_fds(self._link, [said], [write for _, write in outputs])
        for write in {write for _, write in outputs}:
            os.close(write)
        self.stdout = os.fdopen(outputs[0][0], "r")
        self.stderr = self.stdout if merged else os.fdopen(outputs[1][0], "r")
        self._answers = self._link.makefile("r")
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._link], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("forked", timeout or 0.0)
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._link.close()
        return self.returncode

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._link], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self.stdout.close()
        self.stderr.close()


NURSERY = Path(__file__).parent / "nursery.py"
OURS = ("ROBO_", "PREFECT_", "MLFLOW_", "GX_")


@pytest.fixture(scope="session")
def nursery() -> Iterator[Callable[[list[str]], Forked]]:
    """Start gateways (`gateway` and these arguments), forked from one that has imported all."""
    folder = Path(tempfile.mkdtemp(prefix="robo-"))  # the name of a socket must be short
    path = folder / "nursery"
    with subprocess.Popen([sys.executable, str(NURSERY), str(path), "gateway"]) as process:
        while not path.exists():
            assert process.poll() is None, "the nursery of gateways did not start"
            time.sleep(0.02)
        yield lambda arguments: Forked(path, arguments)
        process.kill()
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Household:
    """What the journeys of all test processes share: a nursery of verbs and a Prefect server."""

    folder: Path

    @property
    def prefect_url(self) -> str:
        return (self.folder / "prefect-url").read_text()

    def fork(self, arguments: list[str], environment: dict[str, str], folder: Path) -> Forked:
        """Start what one writes after `python`, in this environment alone and this folder."""
        fields = {"environment": environment, "folder": str(folder)}
        return Forked(self.folder / "nursery", arguments, merged=True, **fields)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all test processes of one run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger's file without a row, made once: each of its migrations waits for the disk."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with OrderLedger(f"sqlite:///{path}", deadline=30.0) as ledger:
        assert ledger.check() == []
    assert not path.with_name("ledger.sqlite-wal").exists()  # all of it is in the one file
    return path


@pytest.fixture(scope="session")
def household(shared_folder: Path) -> Iterator[Household]:
    """Join the household of this test run, or found it; it ends with the last that uses it."""
    users, place = shared_folder / "household-users", shared_folder / "household"
    with _locked(users, fcntl.LOCK_SH):
        with _locked(shared_folder / "household-start"):
            folder = Path(place.read_text()) if place.exists() else None
            if folder is None or not folder.exists():
                folder = _found_household(users)
                place.write_text(str(folder))
        yield Household(folder)


def _found_household(users: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="robo-"))  # the name of a socket must be short
    path = folder / "nursery"
    process = subprocess.Popen(
        [sys.executable, "-u", str(NURSERY), str(path), "robo", str(users)],
        env={k: v for k, v in os.environ.items() if not k.startswith(OURS)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_take_ctrl_c,
    )
    while not path.exists():
        assert process.poll() is None, "the nursery of verbs did not start"
        time.sleep(0.05)
    return folder


def _take_ctrl_c() -> None:
    """A shell that runs the tests in the background has its children ignore Ctrl-C; undo it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def locked() -> Callable[[Path], AbstractContextManager[None]]:
    """Hold a lock of a file, against other test processes, within a `with`."""
    return _locked


@contextmanager
def _locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield
