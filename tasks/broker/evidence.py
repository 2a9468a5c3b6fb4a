"""What one API connection has been told of orders, kept in arrival order and by identity."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tasks.broker.protocol import (
    ENDED_STATUSES,
    BrokerEvent,
    BrokerNotice,
    Commission,
    ConnectionDown,
    OrderStatus,
)

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
        """Keep an open-order message: it names an order and proves a status, of fills it is silent.

        What was told of the order while it had no name goes to the live session now.
        """
        self._name(order)
        known = self._known(order)
        if known is None:
            self.orders[_key(order)] = order
            return
        silent = replace(
            order, filled=known.filled, remaining=known.remaining, why_held=known.why_held
        )
        merged = self.orders[_key(order)] = _merged(known, silent)
        if order.order_ref and not known.order_ref:
            self.events.put_nowait(merged)

    def completed_order(self, order: OrderStatus) -> None:
        """Keep a completed order: the proof that it can fill no more."""
        self._name(order)
        self._keep(order)
        self.events.put_nowait(order)

    def order_status(self, order: OrderStatus) -> None:
        """Keep an orderStatus, named by what earlier messages said of its ids.

        The permanent id goes first: a restarted gateway gives order ids a second time.
        """
        name = self.names.get(order.perm_id) if order.perm_id else None
        name = name or self.names.get((order.client_id, order.order_id))
        if name is not None:
            order = replace(order, order_ref=name[0], symbol=name[1])
        self._keep(order)
        self.events.put_nowait(order)

    def fill(self, fill: Fill) -> None:
        """Keep an execution; corrections and duplicates are for the ledger to know."""
        if fill.perm_id and fill.order_ref:
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

    def _keep(self, order: OrderStatus) -> None:
        known = self._known(order)
        self.orders[_key(order)] = order if known is None else _merged(known, order)

    def _known(self, order: OrderStatus) -> OrderStatus | None:
        """Return what is kept of an order; told before its permanent id, it moves to that."""
        known = self.orders.get(_key(order))
        ids = (order.client_id, order.order_id)
        early = self.orders.get(ids) if known is None and order.perm_id else None
        if early is None or early.order_ref not in ("", order.order_ref):
            return known
        return self.orders.pop(ids)

    def _name(self, order: OrderStatus) -> None:
        if order.order_id:
            self.name_order(order.client_id, order.order_id, order.order_ref, order.symbol)
        if order.perm_id:
            self.names[order.perm_id] = (order.order_ref, order.symbol)


def _key(order: OrderStatus) -> OrderKey:
    return order.perm_id or (order.client_id, order.order_id)


def _merged(known: OrderStatus, news: OrderStatus) -> OrderStatus:
    """Return one order after another message: names are not lost, an end and shares not undone."""
    is_late = known.status in ENDED_STATUSES and news.status not in ENDED_STATUSES
    counts = known if news.filled < known.filled else news
    return replace(
        news,
        order_ref=news.order_ref or known.order_ref,
        order_id=news.order_id or known.order_id,
        symbol=news.symbol or known.symbol,
        status=known.status if is_late else news.status,
        filled=counts.filled,
        remaining=counts.remaining,
    )
