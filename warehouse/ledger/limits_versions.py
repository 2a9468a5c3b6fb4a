"""Every version of the risk limits that orders were judged by, with who brought it and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from models.domain.errors import InvalidInput
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text
from warehouse.ledger.statements import LedgerRow

_LATEST = text("SELECT * FROM limits_versions ORDER BY version DESC LIMIT 1")
_ALL = text("SELECT * FROM limits_versions ORDER BY version")
_GET = text("SELECT * FROM limits_versions WHERE version = :version")
_INSERT = text(
    "INSERT INTO limits_versions (version, content_hash, content, changed_by, changed_at, source) "
    "VALUES (:version, :content_hash, :content, :changed_by, :changed_at, :source)"
)


@dataclass(frozen=True, slots=True)
class LimitsVersion:
    """One version; `content` is the canonical text, `content_hash` its SHA-256, `at` UTC."""

    version: int
    content_hash: str
    content: str
    by: str
    at: datetime
    source: str


class LimitsVersions:
    """The versions of this ledger's limits, numbered from 1; none is ever changed."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def record(
        self, content: str, content_hash: str, by: str, at: datetime, source: str
    ) -> LimitsVersion:
        """Return the latest version if its content is this one, else add a new one.

        Going back to an earlier content is a change too, and gets a number of its own.
        """
        with self._store.write() as connection:
            latest = connection.execute(_LATEST).one_or_none()
            if latest is not None and latest.content_hash == content_hash:
                return _version(latest)
            number = 1 if latest is None else int(latest.version) + 1
            row = {
                "version": number,
                "content_hash": content_hash,
                "content": content,
                "changed_by": by,
                "changed_at": moment_text(at),
                "source": source,
            }
            connection.execute(_INSERT, row)
            return _version(connection.execute(_GET, {"version": number}).one())

    def latest(self) -> LimitsVersion | None:
        """Return the newest version, or None before the first plan or session."""
        with self._store.read() as connection:
            row = connection.execute(_LATEST).one_or_none()
        return None if row is None else _version(row)

    def get(self, version: int) -> LimitsVersion:
        """Return one version; raises InvalidInput when there is none of that number."""
        with self._store.read() as connection:
            row = connection.execute(_GET, {"version": version}).one_or_none()
        if row is None:
            raise InvalidInput(
                f"the ledger has no limits version {version}; `robo limits history` lists them"
            )
        return _version(row)

    def history(self) -> tuple[LimitsVersion, ...]:
        """Return every version, oldest first."""
        with self._store.read() as connection:
            return tuple(_version(row) for row in connection.execute(_ALL))


def _version(row: LedgerRow) -> LimitsVersion:
    return LimitsVersion(
        int(row.version),
        row.content_hash,
        row.content,
        row.changed_by,
        moment_of(row.changed_at),
        row.source,
    )
