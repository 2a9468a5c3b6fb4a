"""What the system needs of a broker, in domain types; `ibkr` is the one implementation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from models.domain.errors import RetryLater
from models.domain.orders import ChildOrder, Fill, Quote

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    import pandas as pd

    from models.domain.market_rules import MarketRule
    from models.risk.margin import MarginImpact
    from tasks.broker.pacing import Urgency


ENDED_STATUSES = frozenset({"Filled", "Cancelled", "ApiCancelled"})


class GatewayNotReady(RetryLater):
    """The gateway cannot be worked with at present; a session waits for it, and then reads all."""


class GatewayUnreachable(GatewayNotReady):
    """The gateway does not answer, or the connection to it broke; nothing is known to be lost."""


class ClientIdTaken(GatewayNotReady):
    """The gateway still holds a connection of this client id: a dead one, or another program's."""


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where the gateway listens, and the API client id to present to it."""

    host: str
    port: int
    client_id: int


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """One piece of order evidence: an orderStatus, open-order or completed-order message.

    `status` is the broker's own word (Submitted, Filled, Cancelled, Inactive …); `filled` and
    `remaining` are shares. `order_ref` is empty for orders that were not placed by this system.
    """

    order_ref: str
    order_id: int
    perm_id: int
    client_id: int
    symbol: str
    status: str
    filled: int
    remaining: int
    why_held: str = ""

    @property
    def is_over(self) -> bool:
        """Say whether it can fill no more; Inactive may be a hold, unless nothing remains."""
        if self.status == "Inactive":
            return not self.why_held and not self.remaining
        return self.status in ENDED_STATUSES


@dataclass(frozen=True, slots=True)
class Commission:
    """One commission report: `amount` in `currency`; realised profit likewise, if told."""

    exec_id: str
    amount: Decimal
    currency: str
    realized_pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class BrokerNotice:
    """An error, warning or information message; never by itself proof of an order's end."""

    code: int
    text: str
    order_ref: str


@dataclass(frozen=True, slots=True)
class ConnectionDown:
    """The socket closed; what was in flight has an unknown outcome."""

    reason: str


BrokerEvent = OrderStatus | Fill | Commission | BrokerNotice | ConnectionDown


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a broker can show of one account at one moment.

    `cash` and `net_liquidation` are USD; `positions` maps symbol to signed shares; `orders` holds
    open and completed orders of every client, `fills` and `commissions` those of the current day.
    `day_trades_remaining` is None when the broker tells none, or sets no limit.
    """

    account: str
    at: datetime
    cash: Decimal
    net_liquidation: Decimal
    positions: dict[str, int]
    orders: tuple[OrderStatus, ...]
    fills: tuple[Fill, ...]
    commissions: tuple[Commission, ...]
    day_trades_remaining: int | None = None

    @property
    def open_orders(self) -> tuple[OrderStatus, ...]:
        """The orders that can still fill."""
        return tuple(order for order in self.orders if not order.is_over)


class OrderGateway(Protocol):
    """A connection that carries orders and nothing else."""

    @property
    def account(self) -> str:
        """The one account that this connection trades."""
        ...

    @property
    def client_id(self) -> int:
        """The API client id; order ids are unique within it."""
        ...

    def next_order_id(self) -> int:
        """Return an order id above every one that the gateway has shown."""
        ...

    async def qualify(self, symbols: Sequence[str], *, refresh: bool = False) -> None:
        """Look up contracts and market rules that are not known, with `refresh` in any case."""
        ...

    def market_rule(self, symbol: str) -> MarketRule:
        """Return the price increments of a symbol that was looked up."""
        ...

    async def collect_evidence(self) -> Evidence:
        """Ask for open and completed orders, executions, positions and cash."""
        ...

    async def what_if(self, child: ChildOrder) -> MarginImpact:
        """Ask what an order would do to the account's margin; nothing is placed."""
        ...

    def send(self, child: ChildOrder) -> None:
        """Write one committed child to the socket; its outcome comes as events."""
        ...

    def room(self, urgency: Urgency) -> int:
        """Return how many messages of this urgency may go now without one having to wait."""
        ...

    def cancel(self, order_id: int) -> None:
        """Ask for the cancellation of one of this client's orders."""
        ...

    def cancel_everything(self) -> Awaitable[int]:
        """Cancel every working order, whoever sent it; await the answer for how many there were."""
        ...

    async def flush(self) -> datetime:
        """Return the gateway's time once everything it had sent before has been received."""
        ...

    def pending_events(self) -> list[BrokerEvent]:
        """Return, without waiting, the evidence that has arrived and was not yet taken."""
        ...


class QuoteSource(Protocol):
    """A connection that carries market data and nothing else."""

    async def subscribe(self, symbols: Sequence[str], *, with_shortable: bool = False) -> None:
        """Stream the top of book of every symbol, and on request what may be borrowed."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest quote, or None before both sides were seen."""
        ...

    def shortable(self, symbol: str) -> int | None:
        """Return the shares that may be borrowed, or None before the broker has said."""
        ...


class HistorySource(Protocol):
    """Where daily bars come from."""

    async def daily_bars(self, symbol: str, first: date | None, end: date) -> pd.DataFrame:
        """Return the Bars frame of `symbol` from `first` (None: all) to `end`, inclusive."""
        ...
