"""Dying on purpose: the process ends at a numbered boundary of the order path, for crash tests.

The boundaries are those between which a crash leaves a different truth behind: before and after
each ledger commit, each message written to the socket and each broker event taken.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from models.domain.errors import InvalidInput

BOUNDARIES = (
    "commit-before",
    "commit-after",
    "send-before",
    "send-after",
    "event-before",
    "event-after",
)
Boundary = Callable[[str], None]


def pass_by(_boundary: str) -> None:
    """Do nothing at a boundary, as every session outside a crash test."""


def die() -> None:
    """End this process as kill -9 does: nothing is closed, nothing flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """The `number`-th boundary passed (from 1): of the kind `name`, or of any when that is empty.

    Raises InvalidInput for a kind that is none or a number below 1.
    """

    name: str
    number: int

    def __post_init__(self) -> None:
        """Refuse what could never be met."""
        if self.name not in ("", *BOUNDARIES) or self.number < 1:
            raise InvalidInput(
                f"{self.name}:{self.number} is no crash point; give a number from 1, or one of "
                f"{', '.join(BOUNDARIES)} and a number from 1: send-after:2"
            )

    @classmethod
    def parse(cls, text: str) -> CrashPoint:
        """Read `12` or `send-after:2`; raise InvalidInput for anything else."""
        name, colon, number = text.strip().rpartition(":")
        if not number.isdecimal() or (colon and not name):
            raise InvalidInput(
                f"{text!r} is no crash point; give a number from 1, or one of "
                f"{', '.join(BOUNDARIES)} and a number from 1: send-after:2"
            )
        return cls(name, int(number))


@dataclass(slots=True)
class CrashPlan:
    """What happens at which boundaries; a function to call with each one's name.

    `acts` maps a crash point to what is done there, once.
    """

    acts: dict[CrashPoint, Callable[[], None]]
    passed: Counter[str] = field(default_factory=Counter[str])

    def __call__(self, boundary: str) -> None:
        """Count a boundary, and act if the plan says so."""
        self.passed[boundary] += 1
        self.passed[""] += 1
        for name in ("", boundary):
            act = self.acts.get(CrashPoint(name, self.passed[name]))
            if act is not None:
                act()


def boundary_of(crash_at: str) -> Boundary:
    """Return what ROBO_CRASH_AT asks for: death at that point, or nothing when it is empty."""
    return CrashPlan({CrashPoint.parse(crash_at): die}) if crash_at else pass_by
