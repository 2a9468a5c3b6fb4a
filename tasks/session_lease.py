"""The lease that makes one process at a time the session that may send orders."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from models.domain.errors import RoboError, SkipToday

if TYPE_CHECKING:
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.leases import Lease


@dataclass(slots=True)
class SessionLease:
    """A held lease, renewed when a third of its time has gone; its times are wall-clock times."""

    ledger: OrderLedger
    held: Lease
    renewed: datetime

    @classmethod
    def take(
        cls, ledger: OrderLedger, settings: Settings, busy: type[RoboError] = SkipToday
    ) -> Self:
        """Take the lease; raise `busy`, naming the holder, when another process has it."""
        name = f"trading-{settings.mode}"
        now = datetime.now(UTC)
        try:
            held = ledger.leases.acquire(
                name,
                "a session of robo",
                pid=os.getpid(),
                host=socket.gethostname(),
                ttl=settings.lease_ttl,
                now=now,
                pid_alive=is_running,
            )
        except SkipToday as taken:
            raise busy(str(taken)) from taken
        return cls(ledger, held, now)

    def confirm(self) -> None:
        """Extend the lease now; RetryLater when another process has taken it over."""
        self.renewed = datetime.min.replace(tzinfo=UTC)
        self.renew()

    def renew(self) -> Lease:
        """Extend the lease if it is time; RetryLater when another process has taken it over."""
        now = datetime.now(UTC)
        if now - self.renewed > timedelta(seconds=self.held.ttl / 3):
            self.held = self.ledger.leases.renew(self.held, now)
            self.renewed = now
        return self.held

    def release(self) -> None:
        """Give the lease back."""
        self.ledger.leases.release(self.held)


def is_running(pid: int) -> bool:
    """Say whether a process of this machine has that id (another user's included)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
