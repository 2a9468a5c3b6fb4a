"""What stands in the way of an order, in one look: a halt, or a difference with the broker."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.differences import Differences
from warehouse.ledger.halts import Halts

_LOOK = text(
    "SELECT (SELECT COUNT(*) FROM halts WHERE resumed_at IS NULL AND symbol IN ('', :symbol)) "
    "AS halts, (SELECT COUNT(*) FROM blocked_symbols WHERE account = :account "
    "AND symbol = :symbol) AS blocks"
)


@dataclass(frozen=True, slots=True)
class InTheWay:
    """Why trading is halted, and why the symbol takes no new order; None: it is not, it does."""

    halt: str | None = None
    block: str | None = None


class Obstacles:
    """What the ledger has against an order of a symbol now."""

    def __init__(self, store: LedgerStore, halts: Halts, differences: Differences) -> None:
        self._store = store
        self._halts = halts
        self._differences = differences

    def to(self, account: str, symbol: str) -> InTheWay:
        """Return what stands in the way of an order in `symbol`."""
        with self._store.read() as connection:
            found = connection.execute(_LOOK, {"account": account, "symbol": symbol}).one()
            if not found.halts and not found.blocks:
                return InTheWay()
            halt = self._halts.current(symbol)
            block = self._differences.block_reason(account, symbol)
        return InTheWay(None if halt is None else halt.reason, block)
