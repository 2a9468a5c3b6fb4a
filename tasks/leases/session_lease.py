"""The leases that make one process at a time the session that may send orders.

Beside the session's own, one for each API client id that it connects with, so that two processes of
this ledger never meet at the gateway under one id.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from models.domain.errors import RoboError, SkipToday
from tasks.broker.roles import Role, address
from tasks.machine import machine
from tasks.processes import start_ticks, started_at

if TYPE_CHECKING:
    from tasks.broker.protocol import ApiAddress
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.leases import Lease

logger = logging.getLogger("robo.lease")

ID_REUSE_SLACK = timedelta(seconds=5)  # a process starts before it takes a lease, by two clocks


@dataclass(slots=True)
class SessionLease:
    """A held lease, renewed when a third of its time has gone; its times are wall-clock times."""

    ledger: OrderLedger
    held: Lease
    renewed: datetime
    ids: list[Lease] = field(default_factory=list["Lease"])
    _keeping: asyncio.Task[None] | None = None

    @classmethod
    def take(
        cls, ledger: OrderLedger, settings: Settings, busy: type[RoboError] = SkipToday
    ) -> Self:
        """Take the lease; raise `busy`, naming the holder, when another session has it.

        Each taking is a holder of its own, so that two sessions of one process are two.
        """
        now, holder = datetime.now(UTC), f"session {secrets.token_hex(3)} of robo"
        try:
            held = _acquire(ledger, settings, f"trading-{settings.mode}", holder, now)
            lease = cls(ledger, held, now)
        except SkipToday as taken:
            raise busy(str(taken)) from taken
        try:
            for role in (Role.ORDERS, Role.DATA):
                name = id_name(address(settings, role))
                lease.ids.append(_acquire(ledger, settings, name, holder, now))
        except SkipToday as taken:
            lease.release()
            raise busy(f"an API client id is in use: {taken}") from taken
        return lease

    def keep_renewed(self) -> None:
        """Renew from now on whatever the running event loop waits for, until the release.

        A recovery may wait for longer than the lease lasts.
        """
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.held.ttl / 6)
            try:
                self.renew()
            except RoboError as error:  # who sends next is told by its own renewal
                logger.warning("the lease could not be renewed: %s", error)

    def confirm(self) -> None:
        """Extend the lease now; RetryLater when another process has taken it over."""
        self.renewed = datetime.min.replace(tzinfo=UTC)
        self.renew()

    def renew(self) -> Lease:
        """Extend the lease if it is time; RetryLater when another process has taken it over.

        A clock that went back makes it time: by any other clock the lease would run out.
        """
        now = datetime.now(UTC)
        if not timedelta(0) <= now - self.renewed <= timedelta(seconds=self.held.ttl / 3):
            self.held = self.ledger.leases.renew(self.held, now)
            self.ids = [self.ledger.leases.renew(one, now) for one in self.ids]
            self.renewed = now
        return self.held

    def release(self) -> None:
        """Give the lease back."""
        self._stop_keeping()
        for one in (*self.ids, self.held):
            self.ledger.leases.release(one)

    def abandon(self) -> None:
        """Leave the lease as that of a lost session, whose orders the watchdog ends."""
        self._stop_keeping()
        for one in self.ids:
            self.ledger.leases.release(one)
        self.ledger.leases.abandon(self.held)

    def _stop_keeping(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()


def id_name(where: ApiAddress) -> str:
    """Return the name of the lease of a client id at a gateway."""
    return f"client id {where.client_id} at {where.host}:{where.port}"


def _acquire(
    ledger: OrderLedger, settings: Settings, name: str, holder: str, now: datetime
) -> Lease:
    return ledger.leases.acquire(
        name,
        holder,
        pid=os.getpid(),
        host=machine(),
        ttl=settings.lease_ttl,
        now=now,
        pid_alive=is_running,
    )


def is_holder_running(lease: Lease) -> bool:
    """Say whether the process of this machine that took a lease lives: its id may be another's."""
    if not (is_running(lease.pid) and start_ticks(lease.pid)):  # without the second: a zombie
        return False
    started = started_at(lease.pid)
    return started is None or started <= lease.since + ID_REUSE_SLACK


def is_running(pid: int) -> bool:
    """Say whether a process of this machine has that id (another user's included)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
