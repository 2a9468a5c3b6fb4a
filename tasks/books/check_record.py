"""What was checked before a child was sent: a part of its intent, in one row and one digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.risk.verdict import Comparison, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from warehouse.ledger.events import EventRecord
    from warehouse.ledger.trail import ChildTrail

KIND = "checks"  # of the events that hold them in a ledger from before they were in the intent


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One verdict: when (UTC), which check, its reason with units, and the numbers compared."""

    at: datetime
    check: str
    passed: bool
    reason: str
    numbers: Mapping[str, Any]


def record_of(verdicts: Sequence[Verdict]) -> list[tuple[object, ...]]:
    """Return verdicts as they are kept with an intent, each a short list.

    A comparison is check, passed, value, limit, what, unit and (if there is one) excuse: its
    sentence is made of these when it is read. Any other is check, passed, reason and (if there are
    any) numbers.
    """
    return [_kept(verdict) for verdict in verdicts]


def kept_checks(child: ChildTrail, events: Sequence[EventRecord]) -> tuple[CheckStep, ...]:
    """Return what a child was checked for; ledgers of before have it among the child's events."""
    told = [(child.committed_at, verdict) for verdict in child.checks]
    told += [(e.at, verdict) for e in events if e.kind == KIND for verdict in e.payload["verdicts"]]
    return tuple(CheckStep(at, *_read(verdict)) for at, verdict in told)


def _kept(verdict: Verdict) -> tuple[object, ...]:
    told = verdict.told
    if isinstance(told, str):
        noted = verdict.noted
        kept = (verdict.check, verdict.passed, told)
        return (*kept, dict(noted)) if noted else kept
    kept = (verdict.check, verdict.passed, *told)
    return kept if told.excused else kept[:-1]


def _read(verdict: Any) -> tuple[str, bool, str, Mapping[str, Any]]:
    """Return check, passed, reason and numbers; the oldest ledgers hold them by name."""
    if isinstance(verdict, dict):
        named: Mapping[str, Any] = verdict
        return named["check"], named["passed"], named["reason"], named["numbers"]
    check, passed, *told = verdict
    if len(told) > 2:
        found = Verdict(check, passed, Comparison(*told))
        return check, passed, found.reason, found.numbers
    return check, passed, told[0], told[1] if len(told) > 1 else {}
