"""What can happen to one parent order: the schedule, broker evidence, a person, the session.

Share counts called `filled` are the broker's cumulative count for that child. Moments are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.domain.market_rules import REG_NMS, MarketRule
from models.domain.orders import ChildState, Fill, Quote


@dataclass(frozen=True, slots=True)
class SliceDue:
    """The schedule asks for a child now; may be repeated within a slice (a slice sends once).

    Also to be fed once at or after the parent's end, so that the schedule is known to be over.
    `rule` says which prices the exchange accepts.
    """

    now: datetime
    quote: Quote | None
    rule: MarketRule = REG_NMS


@dataclass(frozen=True, slots=True)
class ChildSent:
    """The committed child was written to the socket; that proves nothing about its arrival."""

    order_ref: str
    order_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChildAcked:
    """The broker shows the order (any live status, or Filled) with `filled` shares done."""

    order_ref: str
    perm_id: int
    filled: int = 0


@dataclass(frozen=True, slots=True)
class ChildFilled:
    """One execution; keyed by exec id, a correction replaces, a correction to 0 shares busts."""

    fill: Fill


@dataclass(frozen=True, slots=True)
class ChildCancelled:
    """The broker ended the order after `filled` shares (the rest of an IOC included)."""

    order_ref: str
    filled: int = 0
    perm_id: int = 0


@dataclass(frozen=True, slots=True)
class ChildRejected:
    """The broker refused the order after `filled` shares (nearly always 0)."""

    order_ref: str
    reason: str
    filled: int = 0


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection broke: unproven children are UNKNOWN, and nothing is sent until Reconciled."""

    now: datetime


@dataclass(frozen=True, slots=True)
class ChildEvidence:
    """One order as a reconciliation found it, open or completed.

    `state` is ACKED or PARTIAL while it can fill, else FILLED, CANCELLED or REJECTED.
    """

    order_ref: str
    state: ChildState
    filled: int
    perm_id: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The broker's whole evidence at `now`; orders and fills of other parents are ignored.

    A child without evidence stays what it is: absence once is no proof.
    """

    now: datetime
    orders: tuple[ChildEvidence, ...] = ()
    fills: tuple[Fill, ...] = ()


@dataclass(frozen=True, slots=True)
class ProvenNeverSent:
    """Two clean reconciliations, a quiet period apart, showed no trace of an UNKNOWN child."""

    order_ref: str


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """Send nothing more and cancel what works, until a resume."""

    reason: str


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Go on after a pause; a person has looked at a quarantine, if there was one."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """End the parent: no new child, cancel what works, then CANCELLED."""

    reason: str


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The exchange closed: no child can be sent for this parent any more."""

    now: datetime


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Waiting for evidence has no prospect: end the parent as FAILED, for a person to settle."""

    reason: str


BrokerMessage = ChildSent | ChildAcked | ChildFilled | ChildCancelled | ChildRejected
Reconciliation = ConnectionLost | Reconciled | ProvenNeverSent
Steering = PauseRequested | ResumeRequested | CancelRequested | Abandoned
Event = SliceDue | BrokerMessage | Reconciliation | Steering | SessionClosed
