"""Symbols and strategies that may not trade until a person has enabled them again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import text

from models.domain.errors import InvalidInput
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text
from warehouse.ledger.statements import LedgerRow

Kind = Literal["symbol", "strategy"]

_CURRENT = text("SELECT * FROM disablements WHERE enabled_at IS NULL ORDER BY id")
_SAME = text(
    "SELECT * FROM disablements WHERE enabled_at IS NULL AND kind = :kind AND name = :name"
)
_ALL = text("SELECT * FROM disablements ORDER BY id")
_INSERT = text(
    "INSERT INTO disablements (id, kind, name, reason, disabled_by, disabled_at, session) "
    "SELECT COALESCE(MAX(id), 0) + 1, :kind, :name, :reason, :disabled_by, :disabled_at, :session "
    "FROM disablements"
)
_ENABLE = text(
    "UPDATE disablements SET enable_reason = :reason, enabled_by = :enabled_by, "
    "enabled_at = :enabled_at, forgiven = (SELECT COUNT(*) FROM children JOIN parents "
    "ON parents.parent_id = children.parent_id WHERE children.state = 'REJECTED' "
    "AND parents.session = disablements.session AND parents.strategy <> 'exits' "
    "AND disablements.name = CASE disablements.kind WHEN 'symbol' THEN children.symbol "
    "ELSE parents.strategy END) WHERE enabled_at IS NULL AND name = :name"
)
_TIMES_ENABLED = text(
    "SELECT COUNT(*) AS times, COALESCE(MAX(forgiven), 0) AS forgiven FROM disablements "
    "WHERE kind = :kind AND name = :name AND session = :session AND enabled_at IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Disablement:
    """One disabled symbol or strategy; `enabled_at` (UTC) is None while it is in force."""

    kind: Kind
    name: str
    reason: str
    by: str
    at: datetime
    session: date
    enable_reason: str | None = None
    enabled_by: str | None = None
    enabled_at: datetime | None = None


class Disablements:
    """What is and was disabled."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def disable(
        self, kind: Kind, name: str, *, reason: str, by: str, at: datetime, session: date
    ) -> bool:
        """Disable from now on; return False when it already is."""
        row = {
            "kind": kind,
            "name": name,
            "reason": reason,
            "disabled_by": by,
            "disabled_at": moment_text(at),
            "session": session.isoformat(),
        }
        with self._store.write() as connection:
            if connection.execute(_SAME, {"kind": kind, "name": name}).first() is not None:
                return False
            connection.execute(_INSERT, row)
        return True

    def enable(self, name: str, reason: str, by: str, at: datetime) -> None:
        """Let a symbol or strategy trade again; raises InvalidInput when it is not disabled."""
        row = {"name": name, "reason": reason, "enabled_by": by, "enabled_at": moment_text(at)}
        with self._store.write() as connection:
            if connection.execute(_ENABLE, row).rowcount:
                return
        names = ", ".join(one.name for one in self.current()) or "nothing"
        raise InvalidInput(f"{name} is not disabled; disabled is: {names}")

    def current(self) -> tuple[Disablement, ...]:
        """Return what is disabled now, oldest first."""
        with self._store.read() as connection:
            return tuple(_disablement(row) for row in connection.execute(_CURRENT))

    def history(self) -> tuple[Disablement, ...]:
        """Return everything that ever was, oldest first."""
        with self._store.read() as connection:
            return tuple(_disablement(row) for row in connection.execute(_ALL))

    def forgiveness(self, kind: Kind, name: str, session: date) -> tuple[int, int]:
        """Return how often a person has enabled it again after it was disabled in a session.

        The second figure is how many refusals by the broker there were at the last of them.
        """
        key = {"kind": kind, "name": name, "session": session.isoformat()}
        with self._store.read() as connection:
            row = connection.execute(_TIMES_ENABLED, key).one()
        return int(row.times), int(row.forgiven)


def _disablement(row: LedgerRow) -> Disablement:
    return Disablement(
        kind=row.kind,
        name=row.name,
        reason=row.reason,
        by=row.disabled_by,
        at=moment_of(row.disabled_at),
        session=date.fromisoformat(row.session),
        enable_reason=row.enable_reason,
        enabled_by=row.enabled_by,
        enabled_at=None if row.enabled_at is None else moment_of(row.enabled_at),
    )
