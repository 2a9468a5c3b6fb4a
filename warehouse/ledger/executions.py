"""Executions and commissions, and what follows from them: fills, positions and cash.

Executions are keyed by the part of the execution id that a correction keeps. Every revision is
stored; only the highest counts. So the sums do not depend on the order or number of deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from models.domain.errors import InvalidInput
from models.domain.orders import Fill
from models.execution.child_state import Executed
from models.execution.fills import explained_by_read
from warehouse.ledger.adjustments import adjusted_cash, adjusted_shares
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.execution_rows import (
    CURRENCY,
    child_row,
    fill_of,
    store_commission,
    store_evidence,
    store_execution,
)
from warehouse.ledger.statements import LedgerConnection

# A corrected execution keeps the commission of an earlier revision until its own is reported; a
# bust (quantity 0) has only its own, or none.
_FILLS = (
    "SELECT executions.*, commissions.amount, commissions.currency FROM executions "
    "LEFT JOIN commissions ON commissions.exec_base = executions.exec_base "
    "AND commissions.revision = (SELECT MAX(told.revision) FROM commissions AS told "
    "WHERE told.exec_base = executions.exec_base AND told.revision <= executions.revision "
    "AND (executions.quantity > 0 OR told.revision = executions.revision)) "
)
_ORDER = " ORDER BY executions.at, executions.exec_id"
_EVER_OF_ACCOUNT = text(_FILLS + "WHERE executions.account = :account AND superseded = 0" + _ORDER)
_OF_ACCOUNT = text(
    _FILLS + "WHERE executions.account = :account AND superseded = 0 AND in_opening = 0" + _ORDER
)
_OF_PARENT = text(
    _FILLS + "JOIN children ON children.order_ref = executions.order_ref "
    "WHERE children.parent_id = :parent_id AND superseded = 0" + _ORDER
)
_REVISIONS_OF_PARENT = text(
    _FILLS + "JOIN children ON children.order_ref = executions.order_ref "
    "WHERE children.parent_id = :parent_id" + _ORDER
)
_OF_ORDER = text(_FILLS + "WHERE executions.order_ref = :order_ref" + _ORDER)
_OPENING = text("SELECT cash FROM accounts WHERE account = :account")
_OPENING_POSITIONS = text("SELECT symbol, quantity FROM opening_positions WHERE account = :account")
_NET_FILLS = text(
    "SELECT symbol, SUM(CASE side WHEN 'BUY' THEN quantity ELSE -quantity END) AS quantity "
    "FROM executions WHERE account = :account AND superseded = 0 AND in_opening = 0 GROUP BY symbol"
)


@dataclass(frozen=True, slots=True)
class CashView:
    """Cash in USD as the ledger derives it.

    `amount` leaves out the commissions of `unknown_commissions` executions that none was reported
    for yet, or one in another currency.
    """

    amount: Decimal
    unknown_commissions: int


class Executions:
    """The executions of every account."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def record(self, fill: Fill, account: str) -> bool:
        """Store one execution; return whether it is new and counts.

        A higher revision replaces a lower one, quantity 0 takes it out of the sums (a bust). The
        child's filled quantity and state follow in the same transaction. Raises HaltTrading when
        the same execution id comes again with another symbol, side, quantity or price.
        """
        with self._store.write() as connection:
            counts = store_execution(connection, fill, account, in_opening=False)
            if fill.commission is not None:
                store_commission(connection, fill.exec_id, fill.commission, CURRENCY, None)
        return counts

    def record_commission(
        self,
        exec_id: str,
        amount: Decimal,
        currency: str = CURRENCY,
        realized_pnl: Decimal | None = None,
    ) -> None:
        """Store a commission report, before or after its execution; the latest report counts."""
        with self._store.write() as connection:
            store_commission(connection, exec_id, amount, currency, realized_pnl)

    def explain_reported(self, order_ref: str) -> None:
        """Take in that a complete read of this order's executions is done.

        Shares that its statuses reported and no execution shows were then in revisions that
        corrections have replaced; without a correction they stay open.
        """
        key = {"order_ref": order_ref}
        with self._store.write() as connection:
            child = child_row(connection, order_ref)
            if child is None or child.reported <= child.gross:
                return
            known = tuple(fill_of(row) for row in connection.execute(_OF_ORDER, key))
            shares = explained_by_read(child.reported, known)
            store_evidence(connection, child, Executed(shares, child.executed), child.perm_id)

    def fills_of(self, parent_id: str) -> tuple[Fill, ...]:
        """Return the current executions of a parent by time, busts included with quantity 0."""
        return self._fills(_OF_PARENT, {"parent_id": parent_id})

    def revisions_of(self, parent_id: str) -> tuple[Fill, ...]:
        """Return every revision of every execution of a parent by time, superseded ones too."""
        return self._fills(_REVISIONS_OF_PARENT, {"parent_id": parent_id})

    def fills_of_account(self, account: str) -> tuple[Fill, ...]:
        """Return every current execution since the account's opening, ours or not, by time."""
        return self._fills(_OF_ACCOUNT, {"account": account})

    def all_fills_of_account(self, account: str) -> tuple[Fill, ...]:
        """Return, with those that the opening balance already contains, every execution by time."""
        return self._fills(_EVER_OF_ACCOUNT, {"account": account})

    def positions(self, account: str) -> dict[str, int]:
        """Return signed shares by symbol, zeros left out: opening, fills and adjustments since.

        Raises InvalidInput when the account has no recorded opening.
        """
        key = {"account": account}
        with self._store.read() as connection:
            _opening_cash(connection, account)
            held = {
                row.symbol: int(row.quantity) for row in connection.execute(_OPENING_POSITIONS, key)
            }
            for row in connection.execute(_NET_FILLS, key):
                held[row.symbol] = held.get(row.symbol, 0) + int(row.quantity)
            for symbol, shares in adjusted_shares(connection, account).items():
                held[symbol] = held.get(symbol, 0) + shares
        return {symbol: held[symbol] for symbol in sorted(held) if held[symbol]}

    def cash(self, account: str) -> CashView:
        """Return opening cash and adjustments, less notional and commissions of fills, in USD.

        Raises InvalidInput when the account has no recorded opening.
        """
        unknown = 0
        with self._store.read() as connection:
            amount = _opening_cash(connection, account) + adjusted_cash(connection, account)
            for row in connection.execute(_OF_ACCOUNT, {"account": account}):
                fill = fill_of(row)
                amount -= fill.side.sign * fill.quantity * fill.price
                if fill.commission is not None:
                    amount -= fill.commission
                elif fill.quantity > 0:
                    unknown += 1
        return CashView(amount, unknown)

    def _fills(self, statement: Any, key: dict[str, str]) -> tuple[Fill, ...]:
        with self._store.read() as connection:
            return tuple(fill_of(row) for row in connection.execute(statement, key))


def _opening_cash(connection: LedgerConnection, account: str) -> Decimal:
    row = connection.execute(_OPENING, {"account": account}).one_or_none()
    if row is None:
        raise InvalidInput(
            f"the ledger has no opening balance of account {account!r}; "
            "run robo reconcile, which records it at first contact"
        )
    return Decimal(row.cash)
