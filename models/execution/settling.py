"""When a person may settle a child that left no evidence, and when the evidence forbids it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from models.domain.orders import ChildOrder, ChildState


class Verdict(StrEnum):
    """What a person says became of a child."""

    NEVER_SENT = "never-sent"
    CANCELLED = "cancelled"
    FILLED = "filled"


@dataclass(frozen=True, slots=True)
class Claim:
    """A verdict; for FILLED `quantity` shares that no execution shows yet, at `price` USD."""

    verdict: Verdict
    quantity: int = 0
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ChildEvidence:
    """All that speaks for or against a claim.

    `executed` shares by executions; `working` says that the broker works the order now; `gap` is
    how many shares, on the child's side, the broker's position is ahead of the ledger's.
    """

    child: ChildOrder
    executed: int
    working: bool
    gap: int

    @property
    def unproven(self) -> int:
        """Shares that the child may have filled and no execution shows."""
        shown = self.child.filled if self.child.state.is_terminal else self.child.quantity
        return shown - self.executed


def objection(claim: Claim, evidence: ChildEvidence) -> str:
    """Say what forbids the claim, or return nothing when nothing does."""
    child = evidence.child
    if evidence.working:
        return "the broker works it now: cancel it in TWS, or wait, then run robo reconcile"
    if child.state.is_terminal and evidence.unproven <= 0:
        return f"it is {child.state} already, by evidence; there is nothing to settle"
    if claim.verdict is Verdict.FILLED:
        return _objection_to_fill(claim, evidence)
    if child.state.is_terminal:
        return f"the broker reported {evidence.unproven} shares filled that no execution shows"
    if claim.verdict is Verdict.NEVER_SENT and _was_seen(evidence):
        return "the broker has acknowledged it, so it was sent: settle it as cancelled or filled"
    if evidence.executed < child.filled:
        return f"the broker reported {child.filled} shares filled, {evidence.executed} are shown"
    if evidence.gap > 0:
        return (
            f"the broker's position is {evidence.gap} shares of {child.symbol} ahead of the "
            f"ledger's on its side: settle it as filled, or accept that position difference first"
        )
    return ""


def _objection_to_fill(claim: Claim, evidence: ChildEvidence) -> str:
    if not 1 <= claim.quantity <= evidence.unproven:
        return f"it can have filled 1 to {evidence.unproven} more shares, not {claim.quantity}"
    if claim.price is None or not claim.price.is_finite() or claim.price <= 0:
        return f"{claim.price} is no price in USD a share"
    if evidence.gap < claim.quantity:
        return (
            f"the broker's position is {max(evidence.gap, 0)} shares of {evidence.child.symbol} "
            f"ahead of the ledger's on its side, not {claim.quantity}"
        )
    return ""


def _was_seen(evidence: ChildEvidence) -> bool:
    alive = evidence.child.state in (ChildState.ACKED, ChildState.PARTIAL)
    return alive or evidence.child.perm_id is not None or evidence.executed > 0
