"""What dies, and at which boundary of the order path: drawn from the seed, alone or in pairs."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from actors import GatewayActor
from ledgers import LedgerPlace

from tasks.broker.clock import ask_control
from tasks.broker.protocol import GatewayUnreachable
from tasks.crash_points import BOUNDARIES, CrashPlan, CrashPoint, die

HOST = "127.0.0.1"
# Shares of all points; the process itself most, for it has the most to lose.
KINDS = {"process": 60, "torn-commit": 12, "gateway": 14, "connection": 14}
VERBS = {"SIGTERM": 12, "halt": 14, "flatten": 6}  # what a person does to a session at work
PAIRED = 0.25


@dataclass(frozen=True)
class Crash:
    """One death: of the process, its database in mid-commit, the gateway, or the connection.

    A verb is none by itself: at this point another process begins, which may die on its own.
    """

    kind: str
    point: CrashPoint

    @property
    def is_verb(self) -> bool:
        return self.kind in ("halt", "flatten")

    def __str__(self) -> str:
        return f"{self.kind} at {self.point.name or 'boundary'} {self.point.number}"


def draw(
    rng: random.Random, children_left: int, torn_at: str, *, verbs: bool = False
) -> list[Crash]:
    """Return one crash, or a pair of them, for a process with so many children to go.

    `torn_at` is the boundary at which its database breaks a commit.
    """
    kinds = KINDS | VERBS if verbs else KINDS
    found = [_one(rng, children_left, torn_at, kinds)]
    while rng.random() < PAIRED and len(found) < 2:
        found.append(_one(rng, children_left, torn_at, kinds))
    return found


def _one(rng: random.Random, children_left: int, torn_at: str, kinds: dict[str, int]) -> Crash:
    kind = rng.choices(list(kinds), kinds.values())[0]
    if kind == "torn-commit":
        return Crash(kind, CrashPoint(torn_at, rng.randint(1, 20 + 6 * children_left)))
    if rng.random() < 0.5:
        name = rng.choice(BOUNDARIES)
        most = {"send": 1, "commit": 8, "event": 4}[name.partition("-")[0]] * children_left + 3
        return Crash(kind, CrashPoint(name, rng.randint(1, most)))
    return Crash(kind, CrashPoint("", rng.randint(1, 20 + 25 * children_left)))


class Wreck:
    """Carries out crashes inside a process, and tells each one down a pipe first.

    At a verb's point the process waits until the verb's own process has begun.
    """

    def __init__(self, crashes: list[Crash], gateway: GatewayActor, place: LedgerPlace) -> None:
        self.crashes = crashes
        self._told, self._tell = os.pipe()
        self._heard, self._answer = os.pipe()
        os.set_blocking(self._told, False)
        self._gateway, self._place = gateway, place
        self._before = 0
        self._happened: list[Crash] = []
        acts = {c.point: self._act(number, c.kind) for number, c in enumerate(crashes)}
        self._plan = CrashPlan(acts)

    def __call__(self, boundary: str) -> None:
        if boundary == "commit-before":
            self._before = self._place.log_size()
        self._plan(boundary)

    def _act(self, number: int, kind: str) -> Callable[[], None]:
        do = {
            "process": die,
            "torn-commit": self._tear,
            "gateway": self._kill_gateway,
            "connection": self._cut,
            "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
            "halt": self._wait_for_verb,
            "flatten": self._wait_for_verb,
        }[kind]

        def act() -> None:
            os.write(self._tell, bytes([number]))
            do()

        return act

    def _wait_for_verb(self) -> None:
        os.read(self._heard, 1)

    def _tear(self) -> None:
        """Break the commit in the middle: of a file only a part is written, and who wrote dies."""
        if self._place.break_commit(self._before):
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

    def news(self) -> list[Crash]:
        """Return what has happened since the last call; in the parent."""
        try:
            numbers = os.read(self._told, 64)
        except BlockingIOError:
            return []
        found = [self.crashes[number] for number in numbers]
        self._happened += found
        return found

    def go_on(self) -> None:
        """Let the process go on that waits for its verb to begin; in the parent."""
        os.write(self._answer, b"!")

    def close(self) -> list[Crash]:
        """Return all that has happened, at the end of the process; once, in the parent."""
        self.news()
        for end in (self._told, self._tell, self._heard, self._answer):
            os.close(end)
        return self._happened
