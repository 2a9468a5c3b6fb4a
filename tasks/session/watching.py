"""The watchdog: outside of every session, it ends the orders of one that is gone without a word.

A session that was killed leaves its lease behind, unreleased: of this machine with a process that
is no more or hangs, or of another and expired. The watchdog then takes the lease itself, so that no
new session starts meanwhile, cancels this system's own working orders and gives the lease back.
Orders of others are never touched, and the stops and targets of what is held rest on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from models.domain.errors import RetryLater, RoboError
from tasks.alerts import Alert, raise_alert
from tasks.leases.session_lease import SessionLease, is_holder_running
from tasks.machine import machine
from tasks.session.own_orders import EndedOrders, end_own_orders
from tasks.stores import open_ledger

if TYPE_CHECKING:
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.leases import Lease

HANGS_AFTER = 5  # lengths of the lease without a renewal by a process that lives


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
            ended = asyncio.run(_end(settings, ledger, lease))
        except BaseException:
            # What was not ended must be found again at the next look.
            lease.abandon()
            raise
        lease.release()
    text = f"{who} was lost: {ended.text}"
    _alert(settings, f"{text}; `robo execute` goes on")
    return Watched(who, ended.cancelled, ended.still_working, text)


async def _end(settings: Settings, ledger: OrderLedger, lease: SessionLease) -> EndedOrders:
    lease.keep_renewed()
    return await end_own_orders(settings, ledger)


def _alert(settings: Settings, text: str) -> None:
    alert = Alert(datetime.now(UTC), "error", "a session was lost", text)
    raise_alert(settings.state_dir / "alerts.jsonl", alert)


def lost_session(ledger: OrderLedger, settings: Settings) -> Lease | None:
    """Return the session lease that nobody renews any more and nobody gave back, or None.

    A session of this machine whose process lives may only be slow: it is lost once it has not
    renewed its lease for many times its length, which its event loop does whatever it waits for.
    """
    now = datetime.now(UTC)
    lease = ledger.leases.unreleased(f"trading-{settings.mode}")
    if lease is None:
        return None
    if lease.host != machine():
        return lease if lease.expires_at <= now else None
    hangs = lease.expires_at + timedelta(seconds=HANGS_AFTER * settings.lease_ttl) <= now
    return lease if hangs or not is_holder_running(lease) else None
