"""A broker that does what a test scripts: misbehaviour that no real gateway can be made to show.

It implements the OrderGateway protocol in memory; the ledger behind the desk is a real one.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from parent_orders import parent_order

from models.domain.market_rules import REG_NMS, MarketRule
from models.domain.orders import ChildOrder, Fill, ParentOrder, Quote, Side
from models.domain.sessions import session_on
from models.risk.limits import RiskLimits
from tasks.broker.pacing import NO_LIMIT, Urgency
from tasks.broker.protocol import (
    BrokerEvent,
    Commission,
    Evidence,
    GatewayUnreachable,
    OrderGateway,
    OrderStatus,
)
from tasks.session.account import AccountBook
from tasks.session.orders import OrderDesk
from tasks.session.recovery import adopt, recover, restore_session
from tasks.settings import Settings
from warehouse.ledger import OrderLedger

ACCOUNT = "SIM0000001"
DAY = date(2022, 12, 29)
OPEN = session_on(DAY).open


@dataclass
class ScriptedBroker:
    """A broker in memory. `loses` swallows what is sent; `breaks` ends the connection at a send:
    "before" the order arrives or "after" it has.
    """

    account: str = ACCOUNT
    client_id: int = 11
    now: datetime = OPEN
    loses: bool = False
    breaks: str = ""
    sent: list[ChildOrder] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)
    events: list[BrokerEvent] = field(default_factory=list)
    orders: dict[str, OrderStatus] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    commissions: list[Commission] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    cash: Decimal = Decimal(100_000)
    reads: int = 0
    rules: dict[str, MarketRule] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)
    budget: int = NO_LIMIT
    day_trades_remaining: int | None = None
    _ids: count = field(default_factory=lambda: count(1))
    _perms: count = field(default_factory=lambda: count(9001))

    # -- the protocol

    def next_order_id(self) -> int:
        return next(self._ids)

    async def qualify(self, symbols: Sequence[str], *, refresh: bool = False) -> None:
        self.looked_up += list(symbols)

    def market_rule(self, symbol: str) -> MarketRule:
        return self.rules.get(symbol, REG_NMS)

    async def collect_evidence(self) -> Evidence:
        self.reads += 1
        return Evidence(
            self.account,
            self.now,
            self.cash,
            self.cash,
            dict(self.positions),
            tuple(self.orders.values()),
            tuple(self.fills),
            tuple(self.commissions),
            self.day_trades_remaining,
        )

    def send(self, child: ChildOrder) -> None:
        if self.breaks == "before":
            raise GatewayUnreachable("the connection broke")
        self.sent.append(child)
        if not self.loses:
            self.arrive(child)
        if self.breaks == "after":
            raise GatewayUnreachable("the connection broke")

    def room(self, urgency: Urgency) -> int:
        return self.budget

    def cancel(self, order_id: int) -> None:
        self.cancels.append(order_id)

    async def cancel_everything(self) -> int:
        self.cancels.append(-1)
        return sum(not order.is_over for order in self.orders.values())

    async def flush(self) -> datetime:
        return self.now

    def pending_events(self) -> list[BrokerEvent]:
        found, self.events = self.events, []
        return found

    # -- the script

    def arrive(self, child: ChildOrder) -> None:
        """Take an order in, and know it from now on; it is told only by `tell`."""
        self.orders[child.order_ref] = OrderStatus(
            child.order_ref,
            child.order_id or 0,
            next(self._perms),
            self.client_id,
            child.symbol,
            "Submitted",
            0,
            child.quantity,
        )

    def tell(self, ref: str, status: str, filled: int | None = None, **fields) -> OrderStatus:
        known = self.orders[ref]
        done = known.filled if filled is None else filled
        left = known.filled + known.remaining - done
        self.orders[ref] = replace(known, status=status, filled=done, remaining=left, **fields)
        self.events.append(self.orders[ref])
        return self.orders[ref]

    def execute(self, ref: str, quantity: int, exec_id: str, price: str = "50.00") -> Fill:
        """Fill shares of an order; the message is returned, and told only by the test."""
        order = self.orders[ref]
        child = next(c for c in self.sent if c.order_ref == ref)
        fill = Fill(
            exec_id,
            ref,
            order.symbol,
            child.side,
            quantity,
            Decimal(price),
            self.now,
            order.perm_id,
        )
        self.fills.append(fill)
        self.book(fill.symbol, fill.side.sign * quantity, fill.price)
        left = order.filled + order.remaining - order.filled - quantity
        self.orders[ref] = replace(order, filled=order.filled + quantity, remaining=left)
        return fill

    def book(self, symbol: str, shares: int, price: Decimal) -> None:
        self.positions[symbol] = self.positions.get(symbol, 0) + shares
        self.positions = {s: n for s, n in self.positions.items() if n}
        self.cash -= shares * price


_: type[OrderGateway] = ScriptedBroker


@pytest.fixture
def broker() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def parent() -> ParentOrder:
    return a_parent()


def a_parent(
    symbol: str = "KO", side: Side = Side.BUY, quantity: int = 90, **fields
) -> ParentOrder:
    chosen = {
        "side": side,
        "quantity": quantity,
        "end": OPEN + timedelta(minutes=30),
        "decided_at": OPEN - timedelta(hours=1),
    }
    return parent_order(OPEN, symbol, **(chosen | fields))


@pytest.fixture
def make_parent() -> Callable[..., ParentOrder]:
    return a_parent


@pytest.fixture
def session_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"slices": 3, "min_child_usd": 0.0, "quiet_period": 0.0})


@pytest.fixture
def start_desk(broker: ScriptedBroker, ledger: OrderLedger, session_settings: Settings):
    """Open a desk as a session's start does, short of its reconciliation; again is a restart."""

    def start(*parents: ParentOrder, limits: RiskLimits | None = None) -> OrderDesk:
        ledger.parents.add(parents)
        lease = ledger.leases.acquire(
            "trading-simulated", "test", pid=1, host="here", ttl=60, now=datetime.now(UTC)
        )
        executions = restore_session(ledger, DAY, session_settings)
        worth = broker.cash
        evidence = Evidence(ACCOUNT, broker.now, worth, worth, dict(broker.positions), (), (), ())
        adopt(ledger, evidence)
        book = AccountBook(ACCOUNT, ledger, 100_000.0, 100_000.0)
        book.refresh()

        def quote(symbol: str) -> Quote | None:
            return Quote(symbol, Decimal("49.99"), Decimal("50.00"), 500, 500, broker.now)

        return OrderDesk(
            ledger,
            broker,
            book,
            limits or RiskLimits(),
            session_on(DAY),
            quote,
            lease,
            executions,
        )

    return start


@pytest.fixture
def minute(broker: ScriptedBroker) -> Callable[[float], datetime]:
    """Set market time to so many minutes after the open, and return it."""

    def go(minutes: float) -> datetime:
        broker.now = OPEN + timedelta(minutes=minutes)
        return broker.now

    return go


@pytest.fixture
async def desk(start_desk: Callable[..., OrderDesk], parent: ParentOrder) -> OrderDesk:
    """A desk with one parent, reconciled and ready for its first slice."""
    opened = start_desk(parent)
    await recover(opened, 0)
    return opened


@pytest.fixture
def send_into(
    broker: ScriptedBroker, minute: Callable[[float], datetime]
) -> Callable[[OrderDesk, str], None]:
    """Send what is due at the open: "lost" on its way, or as the connection breaks
    "before" it has arrived or "after".
    """

    def send(desk: OrderDesk, fate: str) -> None:
        broker.loses = fate == "lost"
        broker.breaks = "" if broker.loses else fate
        with pytest.raises(GatewayUnreachable) if broker.breaks else nullcontext():
            desk.slice_due(minute(0))
        broker.loses, broker.breaks = False, ""

    return send
