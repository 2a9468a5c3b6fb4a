"""Which connection is for what: each role has an API client id of its own."""

from __future__ import annotations

import os
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
    BACKFILL = "backfill"


TURNS = 8
STEP = 6
_BEHIND_DATA = {
    Role.HISTORY: 1,
    Role.SNAPSHOT: 2,
    Role.HALT: 3,
    Role.TICKS: 4,
    Role.LIVE_BARS: 5,
    Role.BACKFILL: STEP,  # one id: two backfills would break the broker's pacing together
}


def address(settings: Settings, role: Role, turn: int = 0) -> ApiAddress:
    """Return where `role` connects: ROBO_CLIENT_ID for orders, ROBO_DATA_CLIENT_ID and the ids
    after it for the others.

    History, snapshot and halt have `TURNS` ids each, six apart, for processes at the same time; a
    halt begins with the one that its process id says.
    """
    if role is Role.ORDERS:
        return ApiAddress(settings.host, settings.port, settings.client_id)
    if role is Role.HALT:
        turn = (os.getpid() + turn) % TURNS
    client_id = settings.data_client_id + _BEHIND_DATA.get(role, 0) + STEP * turn
    behind = client_id - settings.data_client_id
    if (
        behind >= STEP and client_id == settings.client_id
    ):  # never the one that may cancel and place
        client_id += STEP * TURNS
    return ApiAddress(settings.host, settings.port, client_id)
