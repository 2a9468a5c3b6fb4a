"""The watchdog: outside of every session, it ends the orders of one that is gone without a word.

A session that was killed leaves its lease behind, unreleased: of this machine with a process that
is no more, or expired. The watchdog then takes the lease itself, so that no new session starts
meanwhile, cancels this system's own working orders and gives the lease back. Orders of others are
never touched.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from models.domain.errors import RetryLater, RoboError
from tasks.alerts import Alert, raise_alert
from tasks.broker.roles import Role, address
from tasks.halting import require_right_account
from tasks.session_lease import SessionLease, is_running
from tasks.stores import open_ledger

if TYPE_CHECKING:
    from tasks.broker.protocol import OrderStatus
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.leases import Lease

END_DEADLINE = 10.0
LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Watched:
    """One look: the session that was lost, if one was, and what became of its orders."""

    lost: str
    cancelled: int
    still_working: int
    text: str


def watch_session(settings: Settings, every: float, *, once: bool) -> Iterator[Watched]:
    """Look every so many seconds; yield whenever there is something to say (with `once`, once).

    A gateway or a ledger that does not answer is said once, and tried again.
    """
    last = ""
    while True:
        try:
            seen = look_once(settings)
        except RoboError as error:
            seen = Watched("", 0, 0, f"the watch cannot look: {error}")
        if once or seen.text != last:
            yield seen
        last = seen.text
        if once:
            return
        time.sleep(every)


def look_once(settings: Settings) -> Watched:
    """End the orders of a session that is gone; say what was found."""
    with open_ledger(settings) as ledger:
        lost = lost_session(ledger, settings)
        if lost is None:
            return Watched("", 0, 0, "watching: no session is lost")
        who = f"{lost.holder} (pid {lost.pid} on {lost.host}, since {lost.since:%H:%M:%S} UTC)"
        try:
            lease = SessionLease.take(ledger, settings, busy=RetryLater)
        except RetryLater:
            return Watched(who, 0, 0, f"{who} was lost, and another session has taken over")
        if settings.on_stop == "leave":
            lease.release()
            text = f"{who} was lost; its orders are left working (ROBO_ON_STOP=leave)"
            _alert(settings, f"{text}: `robo execute` takes them up, `robo halt` ends them")
            return Watched(who, 0, 0, text)
        try:
            cancelled, left = asyncio.run(end_own_orders(settings))
        except BaseException:
            # What was not ended must be found again at the next look.
            ledger.leases.abandon(lease.held)
            raise
        lease.release()
    text = f"{who} was lost: {cancelled} of its orders cancelled, {left} still working"
    _alert(settings, f"{text}; `robo execute` goes on")
    return Watched(who, cancelled, left, text)


def _alert(settings: Settings, text: str) -> None:
    alert = Alert(datetime.now(UTC), "error", "a session was lost", text)
    raise_alert(settings.state_dir / "alerts.jsonl", alert)


def lost_session(ledger: OrderLedger, settings: Settings) -> Lease | None:
    """Return the session lease that nobody renews any more and nobody gave back, or None."""
    now = datetime.now(UTC)
    lease = ledger.leases.unreleased(f"trading-{settings.mode}")
    if lease is None:
        return None
    is_here = lease.host == socket.gethostname()
    is_dead = is_here and not is_running(lease.pid)
    return lease if is_dead or lease.expires_at <= now else None


async def end_own_orders(settings: Settings) -> tuple[int, int]:
    """Cancel this system's own working orders; return how many ended, and how many did not."""
    from tasks.broker.ibkr import OrderConnection

    link = await OrderConnection.open(address(settings, Role.ORDERS), settings.broker_timeout)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + END_DEADLINE

    def is_own(order: OrderStatus) -> bool:
        return bool(order.order_ref) and order.client_id == settings.client_id

    try:
        require_right_account(settings, link.account)
        own = [o for o in (await link.collect_evidence()).open_orders if is_own(o)]
        for order in own:
            link.cancel(order.order_id)
        left = len(own)
        while left and loop.time() < deadline:
            await asyncio.sleep(LOOK_EVERY)
            left = sum(map(is_own, (await link.collect_evidence()).open_orders))
        return len(own) - left, left
    finally:
        await link.close()
