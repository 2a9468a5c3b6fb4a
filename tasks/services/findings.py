"""What a check of `robo doctor` answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """The answers of a check; BROKEN and HALTED fail the check-up."""

    OK = "ok"
    ABSENT = "not there yet"
    UNCHECKED = "not checked"
    HALTED = "halted"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer: what was seen, and what to do when it is not OK."""

    subject: str
    health: Health
    seen: str
    mend: str = ""
