"""The halt: a row that every session reads before each send, and that only a person removes.

A halt is of the whole account, or of one symbol.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text

from models.domain.errors import HaltTrading
from models.domain.halts import HaltCode
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text
from warehouse.ledger.statements import LedgerConnection, LedgerRow

_CURRENT = text(
    "SELECT * FROM halts WHERE resumed_at IS NULL AND symbol IN ('', :symbol) ORDER BY id LIMIT 1"
)
_IN_FORCE = text("SELECT * FROM halts WHERE resumed_at IS NULL ORDER BY id")
_ALL = text("SELECT * FROM halts ORDER BY id")
_INSERT = text(
    "INSERT INTO halts (id, reason, halted_by, halted_at, code, symbol) "
    "SELECT COALESCE(MAX(id), 0) + 1, :reason, :halted_by, :halted_at, :code, :symbol FROM halts"
)
_OF_SCOPE = text("SELECT * FROM halts WHERE resumed_at IS NULL AND symbol = :symbol ORDER BY id")
_RESUME = text(
    "UPDATE halts SET resume_reason = :reason, resumed_by = :resumed_by, resumed_at = :resumed_at "
    "WHERE resumed_at IS NULL AND id = :id"
)


@dataclass(frozen=True, slots=True)
class Halt:
    """One halt, of `symbol` or (empty) of everything; `resumed_at` (UTC) is None while in force."""

    reason: str
    by: str
    at: datetime
    resume_reason: str | None = None
    resumed_by: str | None = None
    resumed_at: datetime | None = None
    code: HaltCode = HaltCode.OPERATOR
    symbol: str = ""
    id: int = field(default=0, compare=False)

    @property
    def text(self) -> str:
        """One phrase for people."""
        what = self.symbol or "everything"
        return f"{what}, by {self.by} at {self.at:%Y-%m-%d %H:%M} UTC: {self.reason}"


class Halts:
    """The halts of this ledger, past and present."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def halt(
        self,
        reason: str,
        by: str,
        at: datetime,
        *,
        code: HaltCode = HaltCode.OPERATOR,
        symbol: str = "",
    ) -> Halt:
        """Stop trading (of `symbol`, if one is named) from `at` (UTC) on; return the halt in force.

        A further halt is recorded too; `resume` ends all of the same scope.
        """
        row = {
            "reason": reason,
            "halted_by": by,
            "halted_at": moment_text(at),
            "code": code.value,
            "symbol": symbol,
        }
        with self._store.write() as connection:
            connection.execute(_INSERT, row)
            return _halt(connection.execute(_CURRENT, {"symbol": symbol}).one())

    def resume(
        self,
        reason: str,
        by: str,
        at: datetime,
        *,
        symbol: str = "",
        seen: Collection[Halt] | None = None,
    ) -> tuple[Halt, ...]:
        """End every halt of everything, or (with `symbol`) those of that one; return them.

        `seen` are those that were judged: HaltTrading, and none is ended, when another has come.
        """
        row = {"reason": reason, "resumed_by": by, "resumed_at": moment_text(at)}
        known = None if seen is None else {halt.id for halt in seen}
        with self._store.write() as connection:
            found = connection.execute(_OF_SCOPE, {"symbol": symbol}).all()
            halts = tuple(_halt(one) for one in found)
            later = [halt.text for halt in halts if known is not None and halt.id not in known]
            if later:
                raise HaltTrading(
                    f"not resumed, trading was halted again meanwhile ({'; '.join(later)}): look "
                    "into that one too, then resume"
                )
            for halt in halts:
                connection.execute(_RESUME, row | {"id": halt.id})
        return halts

    def current(self, symbol: str = "") -> Halt | None:
        """Return the first halt in force of everything, or of `symbol`; or None."""
        with self._store.read() as connection:
            row = connection.execute(_CURRENT, {"symbol": symbol}).one_or_none()
        return None if row is None else _halt(row)

    def in_force(self) -> tuple[Halt, ...]:
        """Return every halt in force, of everything and of symbols, oldest first."""
        with self._store.read() as connection:
            return tuple(_halt(row) for row in connection.execute(_IN_FORCE))

    def history(self) -> tuple[Halt, ...]:
        """Return every halt, oldest first."""
        with self._store.read() as connection:
            return tuple(_halt(row) for row in connection.execute(_ALL))


def require_no_halt(connection: LedgerConnection, symbol: str = "") -> None:
    """Raise HaltTrading, naming who halted, why and when, while a halt is in force."""
    row = connection.execute(_CURRENT, {"symbol": symbol}).one_or_none()
    if row is not None:
        what = f"trading of {row.symbol}" if row.symbol else "trading"
        raise HaltTrading(
            f"{what} was halted by {row.halted_by} at {row.halted_at}: {row.reason}; "
            "run robo resume once the cause is settled"
        )


def _halt(row: LedgerRow) -> Halt:
    return Halt(
        reason=row.reason,
        by=row.halted_by,
        at=moment_of(row.halted_at),
        resume_reason=row.resume_reason,
        resumed_by=row.resumed_by,
        resumed_at=None if row.resumed_at is None else moment_of(row.resumed_at),
        code=HaltCode(row.code),
        symbol=row.symbol,
        id=row.id,
    )
