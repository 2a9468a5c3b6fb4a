"""What the engine asks its shell to do; it does nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from models.domain.orders import ChildOrder, ParentState


@dataclass(frozen=True, slots=True)
class PlaceChild:
    """Commit this intent to the ledger, then send it, then feed ChildSent."""

    child: ChildOrder


@dataclass(frozen=True, slots=True)
class CancelChild:
    """Ask the broker to cancel a working child; its end comes as evidence."""

    order_ref: str


@dataclass(frozen=True, slots=True)
class FinishParent:
    """Record the parent's terminal state; `reason` says what was filled and what was not."""

    state: ParentState
    reason: str


Command = PlaceChild | CancelChild | FinishParent
