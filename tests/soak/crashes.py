"""What dies, and at which boundary of the order path: drawn from the seed, alone or in pairs."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from actors import GatewayActor

from tasks.broker.clock import ask_control
from tasks.broker.protocol import GatewayUnreachable
from tasks.crash_points import BOUNDARIES, CrashPlan, CrashPoint, die

HOST = "127.0.0.1"
# Shares of all points; the process itself most, for it has the most to lose.
KINDS = {"process": 60, "torn-commit": 12, "gateway": 14, "connection": 14}
PAIRED = 0.25


@dataclass(frozen=True)
class Crash:
    """One death: of the process, its database in mid-commit, the gateway, or the connection."""

    kind: str
    point: CrashPoint

    def __str__(self) -> str:
        return f"{self.kind} at {self.point.name or 'boundary'} {self.point.number}"


def draw(rng: random.Random, children_left: int) -> list[Crash]:
    """Return one crash, or a pair of them, for a session with so many children to go."""
    found = [_one(rng, children_left)]
    while rng.random() < PAIRED and len(found) < 2:
        found.append(_one(rng, children_left))
    return found


def _one(rng: random.Random, children_left: int) -> Crash:
    kind = rng.choices(list(KINDS), KINDS.values())[0]
    if kind == "torn-commit":
        return Crash(kind, CrashPoint("commit-after", rng.randint(1, 20 + 6 * children_left)))
    if rng.random() < 0.5:
        name = rng.choice(BOUNDARIES)
        most = {"send": 1, "commit": 8, "event": 4}[name.partition("-")[0]] * children_left + 3
        return Crash(kind, CrashPoint(name, rng.randint(1, most)))
    return Crash(kind, CrashPoint("", rng.randint(1, 20 + 25 * children_left)))


class Wreck:
    """Carries out crashes inside a session's process, and tells each one down a pipe first."""

    def __init__(self, crashes: list[Crash], gateway: GatewayActor, ledger: Path) -> None:
        self.told, self._tell = os.pipe()
        self._gateway = gateway
        self._wal = ledger.with_name(ledger.name + "-wal")
        self._before = 0
        acts = {c.point: self._act(number, c.kind) for number, c in enumerate(crashes)}
        self._plan = CrashPlan(acts)

    def __call__(self, boundary: str) -> None:
        if boundary == "commit-before":
            self._before = self._size()
        self._plan(boundary)

    def _act(self, number: int, kind: str) -> Callable[[], None]:
        do = {
            "process": die,
            "torn-commit": self._tear,
            "gateway": self._kill_gateway,
            "connection": self._cut,
        }[kind]

        def act() -> None:
            os.write(self._tell, bytes([number]))
            do()

        return act

    def _tear(self) -> None:
        """Die inside the write of the commit: only a part of it has reached the file."""
        after = self._size()
        if after > self._before:
            keep = self._before + (after - self._before) * 2 // 3 + 7
            os.truncate(self._wal, min(keep, after - 1))
        die()

    def _kill_gateway(self) -> None:
        """Kill the one that listens now: it may be another process than at this session's start."""
        try:
            hello = ask_control(HOST, self._gateway.control_port, {"op": "hello"})
        except GatewayUnreachable:
            return  # it is dead from the crash before
        os.kill(hello["pid"], signal.SIGKILL)

    def _cut(self) -> None:
        port = self._gateway.control_port
        with suppress(GatewayUnreachable):  # then it is dead, and the connection with it
            ask_control(HOST, port, {"op": "fault", "fault": "kill-socket", "params": {}})

    def _size(self) -> int:
        return self._wal.stat().st_size if self._wal.exists() else 0

    def carried_out(self) -> list[int]:
        """Return the numbers of the crashes that happened; to be called once, in the parent."""
        os.close(self._tell)
        os.set_blocking(self.told, False)  # a gateway started meanwhile holds the other end too
        with os.fdopen(self.told, "rb", buffering=0) as told:
            return list(told.read(64) or b"")
