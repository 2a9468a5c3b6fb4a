"""Corrections that a person accepted: rows beside the fills, which are never edited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, text

from models.execution.differences import CashKind, DifferenceKind
from models.portfolio.lots import Split
from warehouse.ledger.chain import seal
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text, money_text
from warehouse.ledger.statements import LedgerConnection

_INSERT_POSITION = text(
    "INSERT INTO position_adjustments (id, account, symbol, quantity, difference_id, reason, "
    "accepted_by, at) VALUES (:id, :account, :symbol, :quantity, :difference_id, :reason, "
    ":accepted_by, :at)"
)
_INSERT_CASH = text(
    "INSERT INTO cash_adjustments (id, account, amount, kind, difference_id, reason, "
    "accepted_by, at) VALUES (:id, :account, :amount, :kind, :difference_id, :reason, "
    ":accepted_by, :at)"
)
_NEXT_POSITION = text("SELECT COALESCE(MAX(id), 0) + 1 FROM position_adjustments")
_NEXT_CASH = text("SELECT COALESCE(MAX(id), 0) + 1 FROM cash_adjustments")
_INSERT_SPLIT = text(
    "INSERT INTO booked_splits (adjustment_id, new_shares, old_shares, effective_at) "
    "VALUES (:adjustment_id, :new_shares, :old_shares, :effective_at)"
)
_POSITIONS = text(
    "SELECT a.*, d.kind, d.ledger_value, d.broker_value, s.new_shares, s.old_shares, "
    "s.effective_at FROM position_adjustments a "
    "LEFT JOIN differences d ON d.id = a.difference_id "
    "LEFT JOIN booked_splits s ON s.adjustment_id = a.id "
    "WHERE a.account = :account ORDER BY a.id"
)
_CASH = text("SELECT * FROM cash_adjustments WHERE account = :account ORDER BY id")
_SUMS = text(
    "SELECT symbol, SUM(quantity) AS quantity FROM position_adjustments "
    "WHERE account = :account GROUP BY symbol"
)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who accepted which difference, why and when (UTC)."""

    difference: int
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PositionAdjustment:
    """Shares (signed) added to a position without a fill.

    `split` is given where they came by one, so that the cost of the position stays.
    """

    symbol: str
    shares: int
    acceptance: Acceptance
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class CashAdjustment:
    """USD (signed) added to cash without a fill."""

    amount: Decimal
    kind: CashKind
    acceptance: Acceptance


class Adjustments:
    """The adjustments of every account; rows are only ever added."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def add_shares(
        self,
        account: str,
        symbol: str,
        shares: int,
        accepted: Acceptance,
        split: Split | None = None,
    ) -> None:
        """Add signed shares to a position; with `split`, as what that made of those held then."""
        row = _row(account, accepted) | {"symbol": symbol, "quantity": shares}
        with self._store.write() as connection:
            number = int(connection.execute(_NEXT_POSITION).scalar_one())
            stored = row | {"id": number}
            connection.execute(_INSERT_POSITION, stored)
            seal(connection, "position_adjustments", [stored])
            if split is not None:
                kept = {
                    "adjustment_id": number,
                    "new_shares": split.new,
                    "old_shares": split.old,
                    "effective_at": moment_text(split.at),
                }
                connection.execute(_INSERT_SPLIT, kept)
                seal(connection, "booked_splits", [kept])

    def add_cash(self, account: str, amount: Decimal, kind: CashKind, accepted: Acceptance) -> None:
        """Add signed USD to cash."""
        row = _row(account, accepted) | {"amount": money_text(amount), "kind": kind.value}
        with self._store.write() as connection:
            stored = row | {"id": int(connection.execute(_NEXT_CASH).scalar_one())}
            connection.execute(_INSERT_CASH, stored)
            seal(connection, "cash_adjustments", [stored])

    def of_positions(self, account: str) -> tuple[PositionAdjustment, ...]:
        """Return the position adjustments of an account, oldest first."""
        with self._store.read() as connection:
            rows = connection.execute(_POSITIONS, {"account": account}).all()
        return tuple(
            PositionAdjustment(
                row.symbol,
                int(row.quantity),
                Acceptance(int(row.difference_id), row.reason, row.accepted_by, moment_of(row.at)),
                _split(row),
            )
            for row in rows
        )

    def of_cash(self, account: str) -> tuple[CashAdjustment, ...]:
        """Return the cash adjustments of an account, oldest first."""
        with self._store.read() as connection:
            rows = connection.execute(_CASH, {"account": account}).all()
        return tuple(
            CashAdjustment(
                Decimal(row.amount),
                CashKind(row.kind),
                Acceptance(int(row.difference_id), row.reason, row.accepted_by, moment_of(row.at)),
            )
            for row in rows
        )


def adjusted_shares(connection: LedgerConnection, account: str) -> dict[str, int]:
    """Return the signed shares by symbol that adjustments add up to."""
    rows = connection.execute(_SUMS, {"account": account})
    return {row.symbol: int(row.quantity) for row in rows}


def adjusted_cash(connection: LedgerConnection, account: str) -> Decimal:
    """Return the USD that adjustments add up to."""
    rows = connection.execute(_CASH, {"account": account})
    return sum((Decimal(row.amount) for row in rows), Decimal(0))


def _split(row: Row[Any]) -> Split | None:
    """Return the split that was booked; one that a person accepted is that of the whole position.

    That one counts from its acceptance, since no ex-date is known of it.
    """
    if row.effective_at is not None:
        when = moment_of(row.effective_at)
        return Split(row.symbol, when, int(row.new_shares), int(row.old_shares))
    if row.kind != DifferenceKind.SPLIT:
        return None
    new, old = abs(int(row.broker_value)), abs(int(row.ledger_value))
    return Split(row.symbol, moment_of(row.at), new, old)


def _row(account: str, accepted: Acceptance) -> dict[str, object]:
    return {
        "account": account,
        "difference_id": accepted.difference,
        "reason": accepted.reason,
        "accepted_by": accepted.by,
        "at": moment_text(accepted.at),
    }
