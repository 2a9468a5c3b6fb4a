"""Evidence under the name of an attempt that was given up, taken for the one that has its id."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from models.domain.orders import ChildState, Fill
from models.execution.reissued import bearer
from tasks.broker.protocol import BrokerNotice, OrderStatus

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.session.orders import OrderDesk

logger = logging.getLogger("robo.orders")

OVERDUE = (
    "two looks had shown no trace of it, so it was under way for longer than ROBO_QUIET_PERIOD: "
    "raise that if this comes again; it counts again, and nothing works in its place"
)
KIND = "reissued"  # of the journal's event

Message = TypeVar("Message", bound=OrderStatus | Fill | BrokerNotice)


def addressed(desk: OrderDesk, message: Message, now: datetime) -> Message:
    """Return a message of the broker under the name of the child that it is of."""
    child = desk.child(message.order_ref)
    if child is None or child.state is not ChildState.NEVER_SENT:
        return message
    perm_id = 0 if isinstance(message, BrokerNotice) else message.perm_id
    children = desk.ledger.children.reissued(desk.book.account)  # of one API client each
    name = bearer(children, message.order_ref, perm_id)
    if name == message.order_ref:
        return message
    if not any(event.kind == KIND for event in desk.ledger.events.of_order(name)):
        shown = {"shown_as": message.order_ref, "order_id": child.order_id, "perm_id": perm_id}
        desk.ledger.events.append(KIND, name, shown, now)
        logger.warning(
            "%s was under way for longer than two looks and has arrived: it is order %s, which %s "
            "was given; raise ROBO_QUIET_PERIOD if this comes again",
            *(message.order_ref, child.order_id, name),
        )
    return replace(message, order_ref=name)
