"""The end of second orders: what the broker works under one of our names beside its order."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from models.execution.second_orders import living

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasks.broker.protocol import Evidence
    from tasks.session.orders import OrderDesk

logger = logging.getLogger("robo.recovery")

DEADLINE, LOOK_EVERY = 4.0, 0.5  # wall seconds: detected, ended and told of within five


def doubled(desk: OrderDesk) -> dict[str, list[int]]:
    """Return, by orderRef, the permanent ids at work where another carries or carried the name.

    An order that is left alone under its own id is not among them.
    """
    found: dict[str, list[int]] = {}
    for execution in desk.everything.values():
        for order_ref, orders in execution.orders_of.items():
            alive = living(orders)
            if alive not in ([], [execution.children[order_ref].perm_id]):
                found[order_ref] = alive
    return found


async def end_second_orders(
    desk: OrderDesk, evidence: Evidence, look: Callable[[], Awaitable[Evidence]]
) -> Evidence:
    """Cancel until one order at most carries each name; return the last evidence read.

    The engine has asked for the end of the child by its own order id, and asks again when one of
    its orders has ended; here those that were given another id are asked to end as well. What is
    left at the deadline is for the reconciliation to halt on.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE
    asked: set[int] = set()
    while (found := doubled(desk)) and not desk.is_blind and loop.time() < deadline:
        for order in evidence.open_orders:
            child = desk.child(order.order_ref)
            is_other = child is not None and order.order_id not in (0, child.order_id)
            is_own = order.client_id == desk.gateway.client_id
            if order.order_ref in found and is_own and is_other and order.perm_id not in asked:
                asked.add(order.perm_id)
                desk.gateway.cancel(order.order_id)
        await asyncio.sleep(LOOK_EVERY)
        evidence = await look()
    for order_ref, alive in found.items():
        logger.error("orders %s still work under %s", ", ".join(map(str, alive)), order_ref)
    return evidence
