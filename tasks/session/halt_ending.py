"""The end of what still works at the broker after a session was halted, and of its lease.

A halt that a look at the orders, a broker's code or a silent gateway gave comes where no connection
can be relied upon: the session opens a new one, as soon as the gateway answers.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from models.domain.errors import RoboError
from tasks.session.own_orders import end_own_orders

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event as ThreadEvent

    from tasks.leases.session_lease import SessionLease
    from tasks.settings import Settings

logger = logging.getLogger("robo.session")

PATIENCE = 60.0  # wall seconds that a halted session waits for the gateway
BETWEEN = 0.5


async def give_back(
    settings: Settings,
    lease: SessionLease,
    stop: ThreadEvent,
    alert: Callable[[str, str], None],
    *,
    must_end: bool,
) -> None:
    """Give the lease back, with `must_end` once this system's orders but the exits have ended.

    What could not be ended within a minute is told; the lease is then left as that of a lost
    session, so that the watchdog goes on trying.
    """
    if not must_end:
        lease.release()
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while trouble := await _trouble(settings, lease):
        if stop.is_set() or loop.time() >= deadline:
            break
        await asyncio.sleep(BETWEEN)
    else:
        lease.release()
        return
    lease.abandon()
    alert(
        "orders may still work after a halt",
        f"{trouble}; `robo watch` goes on trying to cancel them: look in TWS, or give `robo halt`",
    )


async def _trouble(settings: Settings, lease: SessionLease) -> str:
    """Cancel, and return why orders may still work, empty when none does."""
    try:
        ended = await end_own_orders(settings, lease.ledger)
    except (RoboError, OSError) as error:
        return str(error)
    logger.warning("halted: %s", ended.text)
    return ended.text if ended.still_working else ""
