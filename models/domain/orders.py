"""Parent orders, child orders and fills, as the ledger and the engine know them.

Quantities are whole shares (int, always positive; the side carries the sign). Prices are Decimal
US dollars. Moments are timezone-aware UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

_NOTHING = Decimal(0)
_EXIT = re.compile(r"\d{8}-exit-")


def exit_parent_id(session: date, symbol: str, number: int) -> str:
    """Return the name of the `number`th stop or target of a session."""
    name = symbol.replace(" ", "_").replace(".", "_")
    return f"{session:%Y%m%d}-exit-{name}-{number}"


def is_exit_ref(order_ref: str) -> bool:
    """Say whether an order reference is that of a stop or target, by its name alone."""
    return _EXIT.match(order_ref) is not None


class Side(StrEnum):
    """The direction of an order."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderKind(StrEnum):
    """How a child trades: at its limit, or as a market order once its stop price is reached."""

    LIMIT = "LMT"
    STOP = "STP"


class ParentState(StrEnum):
    """Life of a parent order: NEW -> WORKING <-> PAUSED -> CANCELLING -> a terminal state."""

    NEW = "NEW"
    WORKING = "WORKING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"  # denied by a pre-trade check: nothing was ever sent

    @property
    def is_terminal(self) -> bool:
        """Say whether the parent can no longer produce a child."""
        return self in _TERMINAL_PARENT


class ChildState(StrEnum):
    """Life of a child order. UNKNOWN was (perhaps) sent and has left no evidence at the broker."""

    INTENT = "INTENT"
    SENT = "SENT"
    ACKED = "ACKED"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    NEVER_SENT = "NEVER_SENT"  # proven by two clean reconciliations, a quiet period apart

    @property
    def is_terminal(self) -> bool:
        """Say whether broker evidence (or its proven absence) has ended the child."""
        return self in _TERMINAL_CHILD


_TERMINAL_PARENT = frozenset(
    {
        ParentState.FILLED,
        ParentState.CANCELLED,
        ParentState.EXPIRED,
        ParentState.FAILED,
        ParentState.REJECTED,
    }
)
_TERMINAL_CHILD = frozenset(
    {ChildState.FILLED, ChildState.CANCELLED, ChildState.REJECTED, ChildState.NEVER_SENT}
)


@dataclass(frozen=True, slots=True)
class ParentOrder:
    """What one strategy wants done in one symbol in one session."""

    parent_id: str
    session: date
    strategy: str
    symbol: str
    side: Side
    quantity: int
    algo: str
    start: datetime
    end: datetime
    decision_price: Decimal
    decided_at: datetime
    model_version: str
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """One slice of a parent, as committed before anything is sent.

    Of the children of one `oca_group` (one cancels all) only one can fill.
    """

    parent_id: str
    slice_no: int
    attempt: int
    symbol: str
    side: Side
    quantity: int
    limit_price: Decimal | None
    tif: str
    state: ChildState = ChildState.INTENT
    filled: int = 0
    order_id: int | None = None
    perm_id: int | None = None
    kind: OrderKind = OrderKind.LIMIT
    stop_price: Decimal | None = None
    oca_group: str = ""

    @property
    def order_ref(self) -> str:
        """The deterministic name the broker carries for us: parent.slice.attempt."""
        return f"{self.parent_id}.{self.slice_no}.{self.attempt}"

    @property
    def leaves(self) -> int:
        """Shares that may still fill: zero only once the child is proven dead."""
        return 0 if self.state.is_terminal else self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `exec_id` is the broker's; a correction shares all but its last suffix."""

    exec_id: str
    order_ref: str
    symbol: str
    side: Side
    quantity: int
    price: Decimal
    at: datetime
    perm_id: int
    commission: Decimal | None = None  # None is unknown, never zero

    @property
    def exec_base(self) -> str:
        """The part of `exec_id` that a correction keeps (`…01.02` corrects `…01.01`)."""
        return self.exec_id.rpartition(".")[0] or self.exec_id

    @property
    def revision(self) -> int:
        """The correction number, the last suffix of `exec_id` (1 when it has none)."""
        suffix = self.exec_id.rpartition(".")[2]
        return int(suffix) if suffix.isdigit() else 1


@dataclass(frozen=True, slots=True)
class Quote:
    """Top of book for one symbol; sizes in shares, `at` the moment it was last updated (UTC)."""

    symbol: str
    bid: Decimal
    ask: Decimal
    bid_size: int
    ask_size: int
    at: datetime
    # Worked out when first asked for: every send asks the quotes of all that is held again.
    _mid: Decimal | None = field(default=None, init=False, repr=False, compare=False)
    _is_sane: bool | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def mid(self) -> Decimal:
        """The midpoint in USD."""
        known = self._mid
        if known is None:
            known = (self.bid + self.ask) / 2
            object.__setattr__(self, "_mid", known)
        return known

    @property
    def is_sane(self) -> bool:
        """Say whether both sides are finite, positive and not crossed."""
        known = self._is_sane
        if known is None:
            finite = self.bid.is_finite() and self.ask.is_finite()
            known = finite and _NOTHING < self.bid <= self.ask
            object.__setattr__(self, "_is_sane", known)
        return known
