"""Whose position it is: what this system's own orders hold, beside what came from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from sqlalchemy import text

from models.domain.errors import HaltTrading
from models.domain.orders import ChildOrder, Side
from models.portfolio.lots import Split
from warehouse.ledger.adjustments import Adjustments
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of
from warehouse.ledger.statements import LedgerRow

_OWN = text(
    "SELECT executions.symbol, executions.at, CASE executions.side WHEN 'BUY' "
    "THEN executions.quantity ELSE -executions.quantity END AS quantity "
    "FROM executions JOIN children ON children.order_ref = executions.order_ref "
    "WHERE executions.account = :account AND superseded = 0 AND in_opening = 0 "
    "ORDER BY executions.at, executions.exec_id"
)
# A share that a status reported counts as still to come until its execution is there: it is in no
# position yet.
_COMING = text(
    "SELECT COALESCE(SUM(quantity - executed), 0) AS shares FROM children "
    "WHERE account = :account AND symbol = :symbol AND side = :side AND (reported > gross OR "
    "state NOT IN ('FILLED', 'CANCELLED', 'REJECTED', 'NEVER_SENT'))"
)


class Attribution:
    """Which part of an account's positions this system's orders have made."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def own_positions(self, account: str) -> dict[str, int]:
        """Return signed shares by symbol, of executions of this system's own orders alone.

        A split that was booked multiplies what they had made by then; its fraction is dropped.
        """
        with self._store.read() as connection:
            rows: list[LedgerRow] = list(connection.execute(_OWN, {"account": account}))
            moved = Adjustments(self._store).of_positions(account)
        splits = sorted((m.split for m in moved if m.split is not None), key=lambda s: s.at)
        held: dict[str, int] = {}
        for row in rows:
            _apply(held, [s for s in splits if s.at <= moment_of(row.at)])
            splits = [s for s in splits if s.at > moment_of(row.at)]
            held[row.symbol] = held.get(row.symbol, 0) + int(row.quantity)
        _apply(held, splits)
        return {symbol: shares for symbol, shares in sorted(held.items()) if shares}

    def coming(self, account: str, symbol: str, side: Side) -> int:
        """Return the shares that this system's children may still bring on that side."""
        key = {"account": account, "symbol": symbol, "side": side.value}
        with self._store.read() as connection:
            return int(connection.execute(_COMING, key).scalar_one())


def _apply(held: dict[str, int], splits: Iterable[Split]) -> None:
    for split in splits:
        held[split.symbol] = int(Fraction(held.get(split.symbol, 0) * split.new, split.old))


def require_reduction(store: LedgerStore, child: ChildOrder, account: str) -> None:
    """Raise HaltTrading unless `child`, and all that works on its side, only reduce the position.

    The position is the ledger's, opening and trades by hand included: it is never taken past zero.
    Called inside the transaction that stores the child.
    """
    from warehouse.ledger.executions import Executions  # it imports children, which imports this

    held = Executions(store).positions(account).get(child.symbol, 0)
    coming = Attribution(store).coming(account, child.symbol, child.side)
    if child.quantity + coming > -child.side.sign * held:
        raise HaltTrading(
            f"{child.order_ref} ({child.side} {child.quantity} {child.symbol}) is refused: trading "
            f"is halted, {held} shares are held and {coming} more may still come on its side, so "
            "it would do more than reduce the position; reconcile, then try again"
        )
