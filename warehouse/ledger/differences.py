"""What reconciliations found, how each difference ended, and which symbols it blocks meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from models.domain.errors import InvalidInput
from models.execution.differences import Correction, Difference, DifferenceKind
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text
from warehouse.ledger.statements import LedgerConnection, LedgerRow

_OPEN = text(
    "SELECT * FROM differences WHERE account = :account AND resolved_at IS NULL ORDER BY id"
)
_NEXT = text("SELECT COALESCE(MAX(id), 0) + 1 AS free FROM differences")
_INSERT = text(
    "INSERT INTO differences (id, account, kind, subject, symbol, ledger_value, broker_value, "
    "unit, proposal, blocks, found_at, resolution, resolved_at) VALUES (:id, :account, :kind, "
    ":subject, :symbol, :ledger_value, :broker_value, :unit, :proposal, :blocks, :found_at, "
    ":resolution, :resolved_at)"
)
_RESOLVE = text(
    "UPDATE differences SET resolution = :resolution, resolved_at = :at, resolved_by = :by, "
    "resolve_reason = :reason WHERE id = :id AND resolved_at IS NULL"
)
_BLOCKED = text("SELECT * FROM blocked_symbols WHERE account = :account ORDER BY id")
_BLOCK = text(
    "SELECT * FROM blocked_symbols WHERE account = :account AND symbol = :symbol ORDER BY id"
)
_ALL = text("SELECT * FROM differences WHERE account = :account ORDER BY id")


@dataclass(frozen=True, slots=True)
class Found:
    """A difference under its number; `is_new` says that no earlier look had found it so."""

    number: int
    difference: Difference
    is_new: bool

    @property
    def id(self) -> str:
        """What a person types to accept it."""
        return f"D{self.number}"


@dataclass(frozen=True, slots=True)
class DifferenceRecord:
    """One difference as it was found (UTC), and how and when it ended, if it has."""

    id: str
    kind: DifferenceKind
    subject: str
    symbol: str
    ledger: str
    broker: str
    unit: str
    found_at: datetime
    resolution: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    reason: str | None


class Differences:
    """The differences of every account, open and settled."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def observe(
        self,
        account: str,
        found: Iterable[Difference],
        at: datetime,
        kinds: Collection[DifferenceKind] = tuple(DifferenceKind),
    ) -> tuple[Found, ...]:
        """Keep what a look at `at` (UTC) found, and end what it does not find any more.

        The same difference with the same figures keeps its number; with others it is a new one.
        `kinds` are those that this look could have found. A kind that needs no more than being
        noted ends at once.
        """
        with self._store.write() as connection:
            rows = connection.execute(_OPEN, {"account": account}).all()
            known = {_key(row): int(row.id) for row in rows}
            answer: list[Found] = []
            for difference in found:
                key = _key_of(difference)
                number = known.pop(key, None)
                is_new = number is None
                if number is None:
                    number = _insert(connection, account, difference, at)
                answer.append(Found(number, difference, is_new))
            for row in rows:
                if _key(row) in known and DifferenceKind(row.kind) in kinds:
                    _resolve(connection, row.id, "gone", at)
        return tuple(answer)

    def accept(self, number: int, by: str, reason: str, at: datetime) -> None:
        """End an open difference because a person took its correction."""
        with self._store.write() as connection:
            if not _resolve(connection, number, "accepted", at, by=by, reason=reason):
                raise InvalidInput(
                    f"difference D{number} is not open any more; run robo reconcile to see what is"
                )

    def blocked(self, account: str) -> dict[str, str]:
        """Return why each blocked symbol of an account takes no new order."""
        with self._store.read() as connection:
            rows = connection.execute(_BLOCKED, {"account": account}).all()
        return {row.symbol: _block_text(row) for row in reversed(rows)}

    def block_reason(self, account: str, symbol: str) -> str | None:
        """Return why a symbol takes no new order, or None when it does."""
        key = {"account": account, "symbol": symbol}
        with self._store.read() as connection:
            row = connection.execute(_BLOCK, key).first()
        return None if row is None else _block_text(row)

    def history(self, account: str) -> tuple[DifferenceRecord, ...]:
        """Return every difference that was ever found in an account, oldest first."""
        with self._store.read() as connection:
            return tuple(_record(row) for row in connection.execute(_ALL, {"account": account}))


def require_correction(found: Found) -> Correction:
    """Return what accepting a difference does; InvalidInput when it cannot be accepted."""
    if found.difference.correction is None:
        raise InvalidInput(
            f"{found.id} ({found.difference.kind} {found.difference.subject}) cannot be accepted: "
            f"{found.difference.proposal}"
        )
    return found.difference.correction


def _insert(
    connection: LedgerConnection, account: str, difference: Difference, at: datetime
) -> int:
    number = int(connection.execute(_NEXT).scalar_one())
    is_over = difference.kind.is_recorded
    row = {
        "id": number,
        "account": account,
        "kind": difference.kind.value,
        "subject": difference.subject,
        "symbol": difference.symbol,
        "ledger_value": difference.ledger,
        "broker_value": difference.broker,
        "unit": difference.unit,
        "proposal": difference.proposal,
        "blocks": int(difference.kind.blocks),
        "found_at": moment_text(at),
        "resolution": "recorded" if is_over else None,
        "resolved_at": moment_text(at) if is_over else None,
    }
    connection.execute(_INSERT, row)
    return number


def _resolve(
    connection: LedgerConnection,
    number: int,
    resolution: str,
    at: datetime,
    *,
    by: str | None = None,
    reason: str | None = None,
) -> bool:
    row = {
        "id": number,
        "resolution": resolution,
        "at": moment_text(at),
        "by": by,
        "reason": reason,
    }
    return connection.execute(_RESOLVE, row).rowcount > 0


def _key(row: LedgerRow) -> tuple[str, ...]:
    return (row.kind, row.subject, row.ledger_value, row.broker_value)


def _key_of(difference: Difference) -> tuple[str, ...]:
    return (
        difference.kind.value,
        difference.subject,
        difference.ledger,
        difference.broker,
    )


def _block_text(row: LedgerRow) -> str:
    return (
        f"D{row.id}, {row.kind} {row.subject} since {row.found_at[:16]} UTC (ledger "
        f"{row.ledger_value}, broker {row.broker_value} {row.unit}): settle it with robo reconcile"
    )


def _record(row: LedgerRow) -> DifferenceRecord:
    return DifferenceRecord(
        id=f"D{row.id}",
        kind=DifferenceKind(row.kind),
        subject=row.subject,
        symbol=row.symbol,
        ledger=row.ledger_value,
        broker=row.broker_value,
        unit=row.unit,
        found_at=moment_of(row.found_at),
        resolution=row.resolution,
        resolved_at=None if row.resolved_at is None else moment_of(row.resolved_at),
        resolved_by=row.resolved_by,
        reason=row.resolve_reason,
    )
