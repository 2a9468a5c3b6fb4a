"""The account as a session sees it while it trades: cash, positions, equity at present mids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.domain.orders import Fill, Quote
    from tasks.broker.protocol import Commission
    from warehouse.ledger import OrderLedger

CURRENCY = "USD"
UNKNOWN_EQUITY = float("nan")  # never passes a risk check


@dataclass(slots=True)
class AccountBook:
    """Positions in signed shares and cash in USD, as the ledger's executions add up to them.

    `refresh` reads the ledger's whole history; between two of them each new execution and
    commission is added on. `day_start_equity` and `peak_equity` are what the broker reported, in
    USD.
    """

    account: str
    ledger: OrderLedger
    day_start_equity: float
    peak_equity: float
    positions: dict[str, int] = field(default_factory=dict)
    cash: Decimal = Decimal(0)
    _counted: dict[str, tuple[str, Decimal | None]] = field(default_factory=dict)
    _early: dict[str, Decimal] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read positions and cash from the ledger."""
        executions = self.ledger.executions
        self.positions = executions.positions(self.account)
        self.cash = executions.cash(self.account).amount
        fills = executions.fills_of_account(self.account)
        self._counted = {fill.exec_base: (fill.exec_id, fill.commission) for fill in fills}

    def add_fill(self, fill: Fill) -> None:
        """Add an execution that the ledger has just taken as new; a correction reads all again."""
        if fill.revision > 1 or fill.commission is not None:
            self.refresh()
            return
        shares = self.positions.pop(fill.symbol, 0) + fill.side.sign * fill.quantity
        if shares:
            self.positions[fill.symbol] = shares
        fee = self._early.pop(fill.exec_id, None)
        self._counted[fill.exec_base] = (fill.exec_id, fee)
        self.cash -= fill.side.sign * fill.quantity * fill.price + (fee or 0)

    def add_commission(self, told: Commission) -> None:
        """Take off a commission that the ledger has just stored; told again it counts once."""
        counted = self._counted.get(exec_base(told.exec_id))
        if counted is None:  # its execution is still to come, or in the opening balance
            self._early.pop(told.exec_id, None)
            if told.currency == CURRENCY:
                self._early[told.exec_id] = told.amount
        elif told.currency != CURRENCY or counted[0] != told.exec_id:
            self.refresh()
        else:
            self.cash -= told.amount - (counted[1] or 0)
            self._counted[exec_base(told.exec_id)] = (told.exec_id, told.amount)

    def equity(self, quote: Callable[[str], Quote | None]) -> float:
        """Return cash and positions at mid, in USD; not a number while a mid is missing."""
        total = self.cash
        for symbol, shares in self.positions.items():
            seen = quote(symbol)
            if seen is None or not seen.is_sane:
                return UNKNOWN_EQUITY
            total += shares * seen.mid
        self.peak_equity = max(self.peak_equity, float(total))
        return float(total)


def exec_base(exec_id: str) -> str:
    """Return the part of an execution's id that its corrections keep."""
    return exec_id.rpartition(".")[0] or exec_id
