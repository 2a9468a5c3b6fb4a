"""Leases: at most one process does a named work, and a late writer is told by its old token.

Lease times are wall-clock times: a stopped or accelerated market clock must not expire them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from models.domain.errors import RetryLater, SkipToday
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text
from warehouse.ledger.statements import LedgerConnection, LedgerRow

_GET = text("SELECT * FROM leases WHERE name = :name")
_ALL = text("SELECT * FROM leases ORDER BY name")
_TAKE = text(
    "INSERT INTO leases (name, holder, pid, host, token, since, expires_at, released) "
    "VALUES (:name, :holder, :pid, :host, :token, :since, :expires_at, 0) "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, pid = excluded.pid, "
    "host = excluded.host, token = excluded.token, since = excluded.since, "
    "expires_at = excluded.expires_at, released = 0"
)
_EXTEND = text("UPDATE leases SET expires_at = :expires_at WHERE name = :name AND token = :token")
_RELEASE = text("UPDATE leases SET released = 1 WHERE name = :name AND token = :token")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do the work `name` until `expires_at` (UTC); `ttl` in seconds.

    `token` is greater than that of every earlier holder.
    """

    name: str
    holder: str
    pid: int
    host: str
    token: int
    since: datetime
    expires_at: datetime
    ttl: float


class Leases:
    """The leases of this ledger."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def is_known(self, name: str) -> bool:
        """Say whether a lease of that name was ever held."""
        with self._store.read() as connection:
            return connection.execute(_GET, {"name": name}).first() is not None

    def acquire(
        self,
        name: str,
        holder: str,
        *,
        pid: int,
        host: str,
        ttl: float,
        now: datetime,
        pid_alive: Callable[[int], bool] | None = None,
    ) -> Lease:
        """Take the lease for `ttl` seconds, or take it anew when it is one's own already.

        Another's lease is taken over once released or expired, or when it is of the same `host`
        and `pid_alive` denies its process. Raises SkipToday that names the holder.
        """
        with self._store.write() as connection:
            row = connection.execute(_GET, {"name": name}).one_or_none()
            token, since = 1, now
            if row is not None:
                own = (row.holder, row.pid, row.host) == (holder, pid, host)
                if not own and _is_held(row, host, now, pid_alive):
                    raise SkipToday(_taken(row))
                keeps = own and not row.released and moment_of(row.expires_at) > now
                token = row.token if keeps else row.token + 1
                since = moment_of(row.since) if keeps else now
            expires_at = now + timedelta(seconds=ttl)
            values = {
                "name": name,
                "holder": holder,
                "pid": pid,
                "host": host,
                "token": token,
                "since": moment_text(since),
                "expires_at": moment_text(expires_at),
            }
            connection.execute(_TAKE, values)
        return Lease(name, holder, pid, host, token, since, expires_at, ttl)

    def renew(self, lease: Lease, now: datetime) -> Lease:
        """Extend a lease that is still one's own by its ttl from `now`.

        Raises RetryLater when it was released, or another has taken it over.
        """
        expires_at = now + timedelta(seconds=lease.ttl)
        with self._store.write() as connection:
            require_lease(connection, lease)
            values = {"name": lease.name, "token": lease.token}
            connection.execute(_EXTEND, values | {"expires_at": moment_text(expires_at)})
        return Lease(
            lease.name,
            lease.holder,
            lease.pid,
            lease.host,
            lease.token,
            lease.since,
            expires_at,
            lease.ttl,
        )

    def release(self, lease: Lease) -> bool:
        """Give the lease back; return False when it was no longer one's own."""
        key = {"name": lease.name, "token": lease.token}
        with self._store.write() as connection:
            return connection.execute(_RELEASE, key).rowcount == 1

    def abandon(self, lease: Lease) -> None:
        """Let the lease expire a day ago, not given back: its work is found undone by the next."""
        key = {"name": lease.name, "token": lease.token}
        past = moment_text(lease.since - timedelta(days=1))
        with self._store.write() as connection:
            connection.execute(_EXTEND, key | {"expires_at": past})

    def unreleased(self, name: str) -> Lease | None:
        """Return the lease of `name` that was taken and not given back, expired or not; or None."""
        with self._store.read() as connection:
            row = connection.execute(_GET, {"name": name}).one_or_none()
        return None if row is None or row.released else _lease(row, moment_of(row.since))

    def held(self, now: datetime) -> tuple[Lease, ...]:
        """Return the leases in force at `now`, by name; `ttl` is what is left of them."""
        with self._store.read() as connection:
            rows = connection.execute(_ALL).all()
        return tuple(_lease(row, now) for row in rows if _is_held(row, "", now, None))


def require_lease(connection: LedgerConnection, lease: Lease) -> None:
    """Raise RetryLater unless `lease` carries the present token and was not released."""
    row = connection.execute(_GET, {"name": lease.name}).one_or_none()
    if row is None or row.token != lease.token or row.released:
        new = "it was released" if row is None or row.token == lease.token else _taken(row)
        raise RetryLater(f"{lease.holder} (pid {lease.pid}) has lost the lease {lease.name}: {new}")


def _is_held(
    row: LedgerRow, host: str, now: datetime, pid_alive: Callable[[int], bool] | None
) -> bool:
    if row.released or moment_of(row.expires_at) <= now:
        return False
    return not (pid_alive is not None and row.host == host and not pid_alive(row.pid))


def _taken(row: LedgerRow) -> str:
    return (
        f"{row.name} is held by {row.holder} (pid {row.pid} on {row.host}) since {row.since}, "
        f"until {row.expires_at} unless renewed; let it finish, or end it and run this again"
    )


def _lease(row: LedgerRow, now: datetime) -> Lease:
    expires_at = moment_of(row.expires_at)
    left = (expires_at - now).total_seconds()
    since = moment_of(row.since)
    return Lease(row.name, row.holder, row.pid, row.host, row.token, since, expires_at, left)
