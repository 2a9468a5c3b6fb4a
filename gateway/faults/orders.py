"""Faults of orders, executions and commissions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import field
from typing import Any

from gateway.codec.framing import frame
from gateway.codec.messages import Out
from gateway.engine.checks import OFF_TICK
from gateway.engine.corrections import correct
from gateway.engine.edge import Fills
from gateway.engine.orders import (
    CommissionCharged,
    Event,
    Executed,
    Execution,
    Notice,
    Order,
    OrderChanged,
)
from gateway.engine.refusal import Refused
from gateway.faults.registry import EVERYONE, Counted, Told, fault
from gateway.faults.replies import concerns
from gateway.session.connection import Connection
from gateway.timeline import SECOND
from models.domain.errors import InvalidInput

WHY_HELD = 10  # the place of whyHeld in orderStatus, the message id included


@fault("reject-order", "Reject new orders: 201, then Inactive.")
class RejectOrder(Counted):
    """Rejects `count` orders with a reason."""

    reason: str = "Order rejected - reason:The exchange is closed for this contract"
    count: int = 1
    client: int = EVERYONE

    def veto(self, order: Order) -> str | None:
        """Reject."""
        if self.client not in {EVERYONE, order.client_id}:
            return None
        self.strike(self.count)
        return self.reason


class Remark(Counted):
    """A code told of the next new orders, which stay live all the same."""

    count: int
    client: int
    code: int
    text: str

    def __post_init__(self) -> None:
        """Begin with no order told of."""
        self.told_of: set[int] = set()

    def happened(self, event: Event) -> list[Event]:
        """Put the code behind the first news of an order."""
        if not isinstance(event, OrderChanged):
            return [event]
        order = event.order
        if (
            order.perm_id in self.told_of
            or order.filled
            or not order.is_working
            or order.placed_at < self.since
            or self.client not in {EVERYONE, order.client_id}
        ):
            return [event]
        self.told_of.add(order.perm_id)
        self.strike(self.count)
        return [event, Notice(order.client_id, order.order_id, self.code, self.text)]


@fault("refuse-cancel", "Refuse cancels with 10148 or another code; their orders live on.")
class RefuseCancel(Counted):
    """Refuses `count` cancels: 10148 (state), 10147 (not found) or 161 (not cancellable)."""

    code: int = 10148
    count: int = 1
    client: int = EVERYONE

    def __post_init__(self) -> None:
        """Refuse another code."""
        if self.code not in {161, 10147, 10148}:
            raise InvalidInput("fault refuse-cancel: code is 10148, 10147 or 161")

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Refuse."""
        if name == "cancelOrder" and concerns(self.client, connection):
            self.strike(self.count)
            order_id = values["orderId"]
            raise Refused(self.code, f"OrderId {order_id} that needs to be cancelled cannot be.")
        return False


@fault("tif-preset", "Tell 10349 (time in force set by a preset) of an order that lives and fills.")
class TifPreset(Remark):
    """A client that takes it for a cancel is wrong."""

    count: int = 1
    client: int = EVERYONE
    code: int = field(default=10349, init=False)
    text: str = "Order TIF was set to DAY based on order preset."


@fault("order-message", "Tell 399 (a message, not an end) of an order that lives.")
class OrderMessage(Remark):
    """`text` is the message."""

    count: int = 1
    client: int = EVERYONE
    code: int = field(default=399, init=False)
    text: str = "Order Message:\nWarning: your order will be worked as the exchange allows."


@fault("locate-hold", "Hold sell orders while shares are located: 404, PreSubmitted, whyHeld.")
class LocateHold(Counted):
    """Held for `seconds` of market time, then worked; buys=true holds buy orders as well."""

    seconds: float = 30.0
    count: int = 1
    buys: bool = False
    client: int = EVERYONE
    held: dict[tuple[int, int], Order] = field(default_factory=dict, init=False)

    def hold(self, order: Order) -> bool:
        """Keep the order back and set the moment of its release."""
        full = self.count and self.struck >= self.count
        if full or (order.buy and not self.buys) or self.client not in {EVERYONE, order.client_id}:
            return False
        self.struck += 1
        self.held[order.client_id, order.order_id] = order
        exchange = self.desk.exchange
        text = "Order held while securities are located."
        exchange.changes.events.append(Notice(order.client_id, order.order_id, 404, text))
        self.desk.at(exchange.now + int(self.seconds * SECOND), lambda: self._release(order))
        return True

    def _release(self, order: Order) -> None:
        self.held.pop((order.client_id, order.order_id), None)
        self.desk.exchange.release_held(order)
        if self.count and self.struck >= self.count and not self.held:
            self.desk.finish(self)

    def end(self) -> None:
        """Work the orders that are still held; outside the session the open does it."""
        held, self.held = self.held, {}
        for order in held.values():
            self.desk.exchange.release_held(order)

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Say why a held order is held."""
        if told.kind != Out.ORDER_STATUS or connection.client_id is None:
            return [told]
        order = self.held.get((connection.client_id, int(told.tokens[1])))
        if order is None or told.tokens[2] != "PreSubmitted":
            return [told]
        tokens = [*told.tokens]
        tokens[WHY_HELD] = "locate"
        return [Told(told.kind, tokens, frame("\0".join([*tokens, ""]).encode()))]


@fault("duplicate-id", "Refuse new orders with 103, as when an order id has been used before.")
class DuplicateId(Counted):
    """Refuses `count` orders; nothing of them is kept."""

    count: int = 1
    client: int = EVERYONE

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Refuse."""
        if name == "placeOrder" and not values["whatIf"] and concerns(self.client, connection):
            self.strike(self.count)
            raise Refused(103, "Duplicate order id")
        return False


@fault("off-tick", "Refuse new orders with 110, as when a price is on no tick of the market rule.")
class OffTick(Counted):
    """Refuses `count` orders; nothing of them is kept."""

    count: int = 1
    client: int = EVERYONE

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Refuse."""
        if name == "placeOrder" and not values["whatIf"] and concerns(self.client, connection):
            self.strike(self.count)
            raise Refused(*OFF_TICK)
        return False


@fault("partial-fill", "Fill only a share of what the book offers to an arriving order.")
class PartialFill(Counted):
    """The rest of a limit order rests, that of a market order or IOC is cancelled."""

    share: float = 0.5
    count: int = 1
    client: int = EVERYONE

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0.0 <= self.share <= 1.0:
            raise InvalidInput("fault partial-fill: share is from 0 to 1")

    def thin(self, order: Order, fills: Fills) -> Fills:
        """Take shares off, from the worst price on."""
        if not fills or self.client not in {EVERYONE, order.client_id}:
            return fills
        self.strike(self.count)
        left = int(sum(shares for _, shares in fills) * self.share)
        thinned: Fills = []
        for price, shares in fills:
            if left > 0:
                thinned.append((price, min(shares, left)))
                left -= shares
        return thinned


@fault("early-commission", "Tell commissions before the executions that they are for.")
class EarlyCommission(Counted):
    """The execution waits for its commission, for `count` executions."""

    count: int = 0
    client: int = EVERYONE
    waiting: dict[str, Event] = field(default_factory=dict, init=False)

    def happened(self, event: Event) -> list[Event]:
        """Turn the two around."""
        if isinstance(event, Executed) and self.client in {EVERYONE, event.execution.client_id}:
            full = self.count and self.struck + len(self.waiting) >= self.count
            if event.execution.reported or full:
                return [event]
            self.waiting[event.execution.exec_id] = event
            return []
        if isinstance(event, CommissionCharged):
            execution = self.waiting.pop(event.execution.exec_id, None)
            if execution is not None:
                self.strike(self.count)
                return [event, execution]
        return [event]

    def end(self) -> None:
        """Tell the executions that still wait, ahead of their commissions as usual."""
        for event in self.waiting.values():
            self.desk.tell(event)
        self.waiting.clear()


@fault("late-commission", "Tell commissions long after their executions.")
class LateCommission(Counted):
    """`seconds` of market time later, for `count` executions."""

    seconds: float = 120.0
    count: int = 0
    client: int = EVERYONE

    def happened(self, event: Event) -> list[Event]:
        """Keep a commission back."""
        if not isinstance(event, CommissionCharged):
            return [event]
        execution = event.execution
        if self.client not in {EVERYONE, execution.client_id}:
            return [event]
        self.strike(self.count)
        self.desk.release(execution.due + int(self.seconds * SECOND), event)
        return []


class Revision(Counted):
    """A later word on the next executions."""

    seconds: float
    count: int
    client: int

    @abstractmethod
    def price(self, execution: Execution) -> int | None:
        """Return the corrected price in cents, None for a bust."""

    def filled(self, execution: Execution) -> None:
        """Set the moment of the revision."""
        if self.client not in {EVERYONE, execution.client_id}:
            return
        self.strike(self.count)
        price, exchange = self.price(execution), self.desk.exchange
        moment = execution.due + int(self.seconds * SECOND)
        self.desk.at(moment, lambda: correct(exchange, execution.exec_id, price) and None)


@fault("correct-execution", "Correct the price of executions: the same again, its id ending in 02.")
class CorrectExecution(Revision):
    """`seconds` of market time after the commission, by `cents` a share."""

    cents: int = 1
    seconds: float = 5.0
    count: int = 1
    client: int = EVERYONE

    def price(self, execution: Execution) -> int | None:
        """Return the corrected price."""
        return max(execution.price + self.cents, 1)


@fault("bust-execution", "Bust executions: told again with no shares, the id ending in 02.")
class BustExecution(Revision):
    """`seconds` of market time after the commission; the shares and the cash go back."""

    seconds: float = 5.0
    count: int = 1
    client: int = EVERYONE

    def price(self, execution: Execution) -> int | None:
        """Return no price."""
        return None


@fault(
    "two-perm-ids", "Lose track of an order that is modified: the change becomes a second order."
)
class TwoPermIds(Counted):
    """Both live, under one order id and two permanent ids."""

    count: int = 1
    client: int = EVERYONE

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Forget the order that the change means."""
        client_id = connection.client_id
        if name != "placeOrder" or client_id is None or not concerns(self.client, connection):
            return False
        exchange, order_id = self.desk.exchange, values["orderId"]
        for order in exchange.open_orders(client_id):
            if order.order_id == order_id:
                self.strike(self.count)
                exchange.forget_id(client_id, order_id)
                break
        return False
