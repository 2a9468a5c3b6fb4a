"""What one API connection has been told of orders, kept in arrival order and by identity."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tasks.broker.protocol import BrokerEvent, BrokerNotice, Commission, ConnectionDown, OrderStatus

if TYPE_CHECKING:
    from models.domain.orders import Fill

OrderKey = int | tuple[int, int]  # permId, or (client id, order id) before one is known


@dataclass(slots=True)
class EvidenceLog:
    """Order evidence of one connection: a queue for the live session, and tables for a snapshot."""

    events: asyncio.Queue[BrokerEvent] = field(default_factory=asyncio.Queue)
    orders: dict[OrderKey, OrderStatus] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    commissions: dict[str, Commission] = field(default_factory=dict)
    names: dict[OrderKey, tuple[str, str]] = field(default_factory=dict)
    unreadable: str = ""

    def name_order(self, client_id: int, order_id: int, order_ref: str, symbol: str) -> None:
        """Remember which of our orders an id names, for messages that carry the id alone."""
        self.names[(client_id, order_id)] = (order_ref, symbol)

    def open_order(self, order: OrderStatus) -> None:
        """Keep an open-order message: it proves a status; its fills follow in an orderStatus."""
        self._name(order)
        known = self.orders.get(_key(order))
        self.orders[_key(order)] = replace(known, status=order.status) if known else order

    def completed_order(self, order: OrderStatus) -> None:
        """Keep a completed order: the proof that it can fill no more."""
        self._name(order)
        self.orders[_key(order)] = order
        self.events.put_nowait(order)

    def order_status(self, order: OrderStatus) -> None:
        """Keep an orderStatus, named by what earlier messages said of its ids.

        The permanent id goes first: a restarted gateway gives order ids a second time.
        """
        name = self.names.get(order.perm_id) if order.perm_id else None
        name = name or self.names.get((order.client_id, order.order_id))
        if name is not None:
            order = replace(order, order_ref=name[0], symbol=name[1])
        self.orders[_key(order)] = order
        self.events.put_nowait(order)

    def fill(self, fill: Fill) -> None:
        """Keep an execution; corrections and duplicates are for the ledger to know."""
        if fill.perm_id:
            self.names.setdefault(fill.perm_id, (fill.order_ref, fill.symbol))
        self.fills[fill.exec_id] = fill
        self.events.put_nowait(fill)

    def commission(self, commission: Commission) -> None:
        """Keep a commission, whether its execution has come yet or not."""
        self.commissions[commission.exec_id] = commission
        self.events.put_nowait(commission)

    def notice(self, client_id: int, request_id: int, code: int, text: str) -> None:
        """Keep an error or warning, with the order it speaks of if it speaks of one."""
        order_ref = self.names.get((client_id, request_id), ("", ""))[0]
        self.events.put_nowait(BrokerNotice(code, text, order_ref))

    def refuse(self, problem: str) -> None:
        """Keep the first message that could not be read: nothing may be sent on half of a truth."""
        self.unreadable = self.unreadable or problem

    def disconnected(self, reason: str = "the gateway closed the connection") -> None:
        """Keep the end of the connection, after all that it brought."""
        self.events.put_nowait(ConnectionDown(reason))

    def take(self) -> list[BrokerEvent]:
        """Return, without waiting, what has arrived and was not yet taken."""
        found: list[BrokerEvent] = []
        while not self.events.empty():
            found.append(self.events.get_nowait())
        return found

    def _name(self, order: OrderStatus) -> None:
        if order.order_id:
            self.name_order(order.client_id, order.order_id, order.order_ref, order.symbol)
        if order.perm_id:
            self.names[order.perm_id] = (order.order_ref, order.symbol)


def _key(order: OrderStatus) -> OrderKey:
    return order.perm_id or (order.client_id, order.order_id)
