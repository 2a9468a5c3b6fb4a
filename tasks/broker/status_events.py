"""What one order status proves, as an event of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.execution.events import ChildAcked, ChildCancelled, ChildRejected
from tasks.broker.protocol import ENDED_STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.execution.events import BrokerMessage
    from tasks.broker.protocol import OrderStatus

LIVE_STATUSES = frozenset({"PreSubmitted", "Submitted", "PendingCancel", "Filled"})


def event_of(status: OrderStatus, rejections: Mapping[str, str]) -> BrokerMessage | None:
    """Return what a status proves, or None: PendingSubmit and ApiPending prove nothing.

    `rejections` are the refusals that were told by code, by orderRef: Inactive alone may be a hold.
    """
    ref, filled = status.order_ref, status.filled
    if status.status in LIVE_STATUSES:
        return ChildAcked(ref, status.perm_id, filled)
    if status.status in ENDED_STATUSES:
        return ChildCancelled(ref, filled, status.perm_id)
    if status.status == "Inactive" and ref in rejections:
        return ChildRejected(ref, rejections[ref], filled)
    return None
