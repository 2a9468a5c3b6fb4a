"""Asking the broker for the end of orders: each by the id it is shown under, until it is heard."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.domain.errors import HaltTrading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from models.domain.orders import ChildOrder
    from tasks.broker.protocol import OrderGateway, OrderStatus

logger = logging.getLogger("robo.orders")

# Codes that answer a cancel: not found, not in a state to be cancelled. They prove no end.
CANCEL_REFUSED = frozenset({161, 10147, 10148})
MOST_ASKED_AGAIN = 3  # then a person has to: an order that refuses its end is no matter of waiting


@dataclass(slots=True)
class Cancels:
    """The cancels of one connection.

    A gateway that was restarted may have given an order another id, and its old id to another
    order: what the broker has shown, by permanent id, goes before what the ledger noted.
    """

    gateway: OrderGateway
    alert: Callable[[str, str], None]
    _shown: dict[int, OrderStatus] = field(default_factory=dict)
    _holders: dict[int, int] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    _again: dict[str, int] = field(default_factory=dict)

    def seen(self, order: OrderStatus) -> None:
        """Note under which ids the broker shows an order."""
        if not order.order_id or not order.perm_id:
            return
        self._shown[order.perm_id] = order
        if order.client_id == self.gateway.client_id:
            self._holders[order.order_id] = order.perm_id

    def refused(self, order_ref: str) -> None:
        """Note that a cancel was answered with a refusal; the next look decides."""
        self._refused.add(order_ref)

    def ask(self, child: ChildOrder) -> None:
        """Ask for the end of a child; what this client cannot end is told to a person.

        Raises HaltTrading for a child that works without any order id.
        """
        shown = self._shown.get(child.perm_id or 0)
        order_id = child.order_id if shown is None else shown.order_id
        if order_id is None:
            raise HaltTrading(f"{child.order_ref} works without an order id; cancel it by hand")
        if shown is not None and shown.client_id != self.gateway.client_id:
            self._by_hand(child, f"was sent by API client {shown.client_id}, not by this one")
            return
        holder = self._holders.get(order_id)
        if shown is None and child.perm_id and holder not in (None, child.perm_id):
            self._by_hand(child, f"is not shown, and its order id {order_id} is another order's")
            return
        self.gateway.cancel(order_id)

    def ask_again(self, children: Iterable[ChildOrder], orders: Iterable[OrderStatus]) -> None:
        """Ask once more for what was refused and still works, by a read made since."""
        refused, self._refused = self._refused, set()
        if not refused:
            return
        known = {child.order_ref: child for child in children}
        for order in orders:
            child = known.get(order.order_ref)
            if order.order_ref not in refused or child is None or order.is_over:
                continue
            times = self._again[order.order_ref] = self._again.get(order.order_ref, 0) + 1
            if times > MOST_ASKED_AGAIN:
                self._by_hand(child, f"refused its cancel {times} times and still works")
                continue
            logger.warning("%s still works after a refused cancel: asked again", order.order_ref)
            self.ask(child)

    def _by_hand(self, child: ChildOrder, why: str) -> None:
        logger.error("%s %s: it cannot be cancelled from here", child.order_ref, why)
        self.alert(
            f"{child.order_ref} must be cancelled by hand",
            f"the order ({child.side} {child.quantity} shares of {child.symbol}) {why}: cancel "
            "it in TWS; the session follows it meanwhile",
        )
