"""Orders, executions and the events that tell of them."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from datetime import date
from typing import Any

PRE_SUBMITTED = "PreSubmitted"
SUBMITTED = "Submitted"
FILLED = "Filled"
CANCELLED = "Cancelled"
INACTIVE = "Inactive"
PARENT, TIME, TRIGGER, AUCTION, HALT = "parent", "time", "trigger", "auction", "halt"  # waits for
CONDITION = "condition"  # waits for it too
WATCHED = frozenset({TRIGGER, CONDITION})
WORKING = frozenset({PRE_SUBMITTED, SUBMITTED})
STATUSES = (PRE_SUBMITTED, SUBMITTED, FILLED, CANCELLED, INACTIVE)


@dataclass(slots=True, eq=False)
class Order:
    """One order of one client. Prices and money are whole cents, quantities whole shares.

    `request` is the decoded placeOrder message, echoed in openOrder. `held` means that it waits for
    the next open, `idle` that the client has not transmitted it. `expires` is the session whose
    close ends it (None: good till cancelled). `request_text` is the request as the journal keeps
    it, empty until it has been written.

    `kind` is how it trades at present: a stop that was triggered has become MKT or LMT. `aux` is
    the stop price, trailing amount or offset; `stop` the trigger in force; `percent` the trailing
    percentage; `offset` that of a trailing stop's limit; `cap` the worst price that a pegged order
    or an algorithm may pay, whose `limit` is the price of the moment. `auction` is open or close.
    `starts` and `ends` are moments (0: none). `parent` is the permanent id of the order it is
    attached to; `oca` names its one-cancels-all group. `algo` is a strategy with its window
    `starts` to `algo_end`. `waits` says for what: parent, time, trigger, auction, halt, condition.
    `manual` orders were entered by hand, and are `bound` once client 0 has an id for them.
    `queue` is what the background has before it at its limit: [microseconds since the open of its
    cancellation, shares], oldest first; `shown` is what it displays; `seq` is its time priority.
    """

    client_id: int
    order_id: int
    perm_id: int
    column: int
    buy: bool
    quantity: int
    kind: str
    limit: int | None
    tif: str
    request: dict[str, Any]
    placed_at: int
    status: str = PRE_SUBMITTED
    filled: int = 0
    value: int = 0
    commission: int = 0
    last_price: int = 0
    held: bool = False
    idle: bool = False
    expires: date | None = None
    done_at: int = 0
    reason: str = ""
    aux: int | None = None
    percent: float | None = None
    stop: int | None = None
    offset: int | None = None
    cap: int | None = None
    display: int = 0
    hidden: bool = False
    all_or_none: bool = False
    min_quantity: int = 0
    outside: bool = False
    auction: str = ""
    parent: int = 0
    oca: str = ""
    oca_type: int = 3
    starts: int = 0
    ends: int = 0
    algo: str = ""
    algo_end: int = 0
    algo_rate: float = 0.0
    conditional: bool = False
    waits: str = ""
    manual: bool = False
    bound: bool = False
    queue: list[list[int]] = field(default_factory=list)
    shown: int = 0
    seq: int = 0
    request_text: str = ""

    @property
    def ahead(self) -> int:
        """Background shares before it at its limit, cancelled ones included until they are met."""
        return sum(size for _, size in self.queue)

    @property
    def told_id(self) -> int:
        """The order id that clients are told: 0 for one entered by hand until it is bound."""
        return 0 if self.manual and not self.bound else self.order_id

    @property
    def remaining(self) -> int:
        """Shares not filled yet."""
        return self.quantity - self.filled

    @property
    def signed_remaining(self) -> int:
        """Shares not filled yet, negative for a sell."""
        return self.remaining if self.buy else -self.remaining

    @property
    def is_working(self) -> bool:
        """Say whether the order can still fill."""
        return self.status in WORKING

    @property
    def average(self) -> float:
        """The average fill price in USD, 0 before the first fill."""
        return self.value / self.filled / 100.0 if self.filled else 0.0


@dataclass(slots=True)
class Execution:
    """One fill. `commission` and `realized` are cents; `due` is when the commission is reported."""

    exec_id: str
    perm_id: int
    client_id: int
    order_id: int
    column: int
    buy: bool
    shares: int
    price: int
    at: int
    cumulative: int
    average: float
    order_ref: str
    passive: bool
    commission: int
    due: int
    realized: int | None = None
    reported: bool = False


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order's state at one moment (a copy)."""

    order: Order

    @staticmethod
    def of(order: Order) -> OrderChanged:
        """Take the copy."""
        return OrderChanged(copy(order))


@dataclass(frozen=True, slots=True)
class Executed:
    """A fill happened."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class CommissionCharged:
    """A commission was booked."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Notice:
    """An error or message for one order of one client."""

    client_id: int
    order_id: int
    code: int
    text: str


Event = OrderChanged | Executed | CommissionCharged | Notice


@dataclass(slots=True)
class Changes:
    """What one action touched and the journal has not written yet."""

    orders: dict[int, Order] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    positions: set[int] = field(default_factory=set)
    books: set[int] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Say whether there is anything to write."""
        return bool(self.orders or self.executions or self.positions or self.books)
