"""Which code and which limits work a session's parents, so that others don't go on by mistake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text

from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_text

_OF_SESSION = text(
    "SELECT code, limits FROM versions_at_work WHERE session = :session ORDER BY noted_at, code"
)
_NOTE = text(
    "INSERT INTO versions_at_work (session, code, limits, noted_at, accepted_by) "
    "VALUES (:session, :code, :limits, :noted_at, :accepted_by) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class WorkingVersion:
    """The hash of the program text and the hash of the risk limits (hex, shortened)."""

    code: str
    limits: str

    def __str__(self) -> str:
        """Return both as they are shown."""
        return f"code {self.code}, limits {self.limits}"


class WorkingVersions:
    """The versions that were noted for each session."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def of_session(self, session: date) -> tuple[WorkingVersion, ...]:
        """Return the versions that may work the session's parents, oldest first."""
        key = {"session": session.isoformat()}
        with self._store.read() as connection:
            rows = connection.execute(_OF_SESSION, key).all()
        return tuple(WorkingVersion(row.code, row.limits) for row in rows)

    def note(
        self, session: date, version: WorkingVersion, at: datetime, accepted_by: str = ""
    ) -> None:
        """Let `version` work the session's parents from `at` (UTC) on; again changes nothing."""
        row = {
            "session": session.isoformat(),
            "code": version.code,
            "limits": version.limits,
            "noted_at": moment_text(at),
            "accepted_by": accepted_by,
        }
        with self._store.write() as connection:
            connection.execute(_NOTE, row)
