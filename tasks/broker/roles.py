"""Which connection is for what: each role has an API client id of its own."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from tasks.broker.protocol import ApiAddress

if TYPE_CHECKING:
    from tasks.settings import Settings


class Role(Enum):
    """What a connection does; order and data connections never share one."""

    ORDERS = "orders"
    DATA = "data"
    HISTORY = "history"
    SNAPSHOT = "snapshot"
    HALT = "halt"
    TICKS = "ticks"
    LIVE_BARS = "live bars"


_BEHIND_DATA = {
    Role.HISTORY: 1,
    Role.SNAPSHOT: 2,
    Role.HALT: 3,
    Role.TICKS: 4,
    Role.LIVE_BARS: 5,
}


def address(settings: Settings, role: Role) -> ApiAddress:
    """Return where `role` connects: ROBO_CLIENT_ID for orders, ROBO_DATA_CLIENT_ID and the ids
    after it for the others.
    """
    if role is Role.ORDERS:
        client_id = settings.client_id
    else:
        client_id = settings.data_client_id + _BEHIND_DATA.get(role, 0)
    return ApiAddress(settings.host, settings.port, client_id)
