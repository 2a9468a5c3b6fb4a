"""What was checked before a child was sent: one event in the transaction of its intent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from models.risk.verdict import Verdict
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.events import EventRecord

KIND = "checks"


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One verdict: when (UTC), which check, its reason with units, and the numbers compared."""

    at: datetime
    check: str
    passed: bool
    reason: str
    numbers: Mapping[str, Any]


def keep_checks(
    ledger: OrderLedger, order_ref: str, verdicts: Sequence[Verdict], now: datetime
) -> None:
    """Keep the verdicts that let a child go, as one event under its order reference.

    Each is a list of four: names in each would be a fifth of the event.
    """
    told = [(v.check, v.passed, v.reason, dict(v.numbers)) for v in verdicts]
    ledger.events.append(KIND, order_ref, {"verdicts": told}, now)


def kept_checks(events: Sequence[EventRecord]) -> tuple[CheckStep, ...]:
    """Return the verdicts among a child's events, oldest first."""
    return tuple(
        CheckStep(event.at, *_told(verdict))
        for event in events
        if event.kind == KIND
        for verdict in event.payload["verdicts"]
    )


def _told(verdict: Any) -> tuple[str, bool, str, Mapping[str, Any]]:
    """Return check, passed, reason and numbers; older ledgers hold them by name."""
    if isinstance(verdict, dict):
        named: Mapping[str, Any] = verdict
        return named["check"], named["passed"], named["reason"], named["numbers"]
    check, passed, reason, numbers = verdict
    return check, passed, reason, numbers
