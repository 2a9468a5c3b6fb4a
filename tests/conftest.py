"""The order of the tests, the long journeys first, and gateways that start in no time."""

from __future__ import annotations

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
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long journeys first, and with several workers at the start of each one's share."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    journeys = [item for item in items if "journeys" in item.path.parts]
    others = [item for item in items if "journeys" not in item.path.parts]
    share = -(-len(items) // workers)
    items.clear()
    for first in range(workers):
        long = journeys[first::workers]
        short = max(0, share - len(long))
        items += [*long, *others[:short]]
        del others[:short]
    items += others


class Forked:
    """A gateway of the nursery, with what is used of `subprocess.Popen`."""

    def __init__(self, nursery: Path, arguments: list[str]) -> None:
        outputs = [os.pipe() for _ in range(2)]
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(str(nursery))
        said = json.dumps(arguments).encode()
        socket.send_fds(self._link, [said], [write for _, write in outputs])
        for _, write in outputs:
            os.close(write)
        self.stdout, self.stderr = (os.fdopen(read, "r") for read, _ in outputs)
        self._answers = self._link.makefile("r")
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._link], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("gateway", timeout or 0.0)
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


@pytest.fixture(scope="session")
def nursery() -> Iterator[Callable[[list[str]], Forked]]:
    """Start gateways (`gateway` and these arguments), forked from one that has imported all."""
    folder = Path(tempfile.mkdtemp(prefix="robo-"))  # the name of a socket must be short
    path, script = folder / "nursery", Path(__file__).parent / "nursery.py"
    with subprocess.Popen([sys.executable, str(script), str(path)]) as process:
        while not path.exists():
            assert process.poll() is None, "the nursery of gateways did not start"
            time.sleep(0.02)
        yield lambda arguments: Forked(path, arguments)
        process.kill()
    shutil.rmtree(folder)
