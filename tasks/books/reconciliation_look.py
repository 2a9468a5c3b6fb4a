"""A reconciliation beside a session at work: it looks and records nothing, the session does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.books.reconciliation import differences_beside

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from decimal import Decimal

    from models.execution.differences import Difference
    from tasks.broker.protocol import Evidence
    from warehouse.ledger import OrderLedger

MOST_LOOKS = 4
APART = 0.5  # wall seconds in which the session takes in what the broker has told meanwhile


@dataclass(frozen=True, slots=True)
class AccountLook:
    """What differed in every one of `looks` looks; cash in USD, `at` UTC, of the last one."""

    account: str
    at: datetime
    looks: int
    positions: int
    executions: int
    cash: Decimal
    found: tuple[Difference, ...]

    @property
    def agrees(self) -> bool:
        """Say whether broker and ledger told the same at one look."""
        return not self.found

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.agrees:
            return (
                f"broker and ledger agree beside the session at work: {self.positions} positions, "
                f"{self.executions} executions of the day, cash {self.cash:,.2f} USD; nothing was "
                "recorded"
            )
        what = "difference" if len(self.found) == 1 else "differences"
        return (
            f"{len(self.found)} {what} between broker and ledger at {self.looks} looks beside the "
            "session at work; nothing was recorded or sent"
        )


def look_beside(
    ledger: OrderLedger, read: Callable[[], Evidence], *, apart: float = APART
) -> AccountLook:
    """Compare until one look agrees; after `MOST_LOOKS`, `apart` wall seconds apart, what stands.

    What is under way differs for a moment. So a difference counts only if every look shows it,
    whatever its figures; those of the last one are told.
    """
    evidence, looks = read(), 1
    found = differences_beside(ledger, evidence)
    while found and looks < MOST_LOOKS:
        time.sleep(apart)
        standing = {(one.kind, one.subject) for one in found}
        evidence, looks = read(), looks + 1
        told = differences_beside(ledger, evidence)
        found = tuple(one for one in told if (one.kind, one.subject) in standing)
    return AccountLook(
        account=evidence.account,
        at=evidence.at,
        looks=looks,
        positions=len(evidence.positions),
        executions=len(evidence.fills),
        cash=evidence.cash,
        found=found,
    )
