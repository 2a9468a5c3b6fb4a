"""This system's working orders ended from outside of a session, its resting exits left alone.

The stops and targets of what is held are worth most when nobody is at work: they stay.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.broker.roles import Role, address
from tasks.interlock import require_right_account
from tasks.session.exits import STRATEGY as EXITS

if TYPE_CHECKING:
    from tasks.broker.protocol import Evidence, OrderStatus
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger

END_DEADLINE = 10.0
LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class EndedOrders:
    """How many orders have ended, how many have not, and how many exits rest on."""

    cancelled: int
    still_working: int
    exits: int

    @property
    def text(self) -> str:
        """One phrase for people."""
        kept = f", {self.exits} resting exits left to protect what is held" if self.exits else ""
        return f"{self.cancelled} of its orders cancelled, {self.still_working} still working{kept}"


async def end_own_orders(settings: Settings, ledger: OrderLedger) -> EndedOrders:
    """Cancel this system's own working orders but the exits, and see them end.

    Only the client that placed an order can cancel it: the caller holds the lease of the order
    connection's client id. Raises GatewayUnreachable without a gateway, HaltTrading when the
    account is not one of the mode.
    """
    from tasks.broker.ibkr import OrderConnection

    link = await OrderConnection.open(address(settings, Role.ORDERS), settings.broker_timeout)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + END_DEADLINE
    try:
        require_right_account(settings, link.account)
        meant, exits = _own(await link.collect_evidence(), settings, ledger)
        for order in meant:
            link.cancel(order.order_id)
        left = len(meant)
        while left and loop.time() < deadline:
            await asyncio.sleep(LOOK_EVERY)
            left = len(_own(await link.collect_evidence(), settings, ledger)[0])
        return EndedOrders(len(meant) - left, left, len(exits))
    finally:
        await link.close()


def _own(
    evidence: Evidence, settings: Settings, ledger: OrderLedger
) -> tuple[list[OrderStatus], list[OrderStatus]]:
    """Return this system's working orders: those to end, and the exits."""
    meant: list[OrderStatus] = []
    exits: list[OrderStatus] = []
    for order in evidence.open_orders:
        if order.order_ref and order.client_id == settings.client_id:
            (exits if is_exit(ledger, order.order_ref) else meant).append(order)
    return meant, exits


def is_exit(ledger: OrderLedger, order_ref: str) -> bool:
    """Say whether an order is a stop or target that the ledger knows."""
    record = ledger.children.get(order_ref) if order_ref else None
    return record is not None and ledger.parents.get(record.order.parent_id).order.strategy == EXITS
