"""The account as a session sees it while it trades: cash, positions, equity at present mids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING

from models.execution.fills import SETTLED

if TYPE_CHECKING:
    from datetime import datetime

    from models.domain.orders import Fill, Quote
    from tasks.broker.protocol import Commission
    from warehouse.ledger import OrderLedger

CURRENCY = "USD"
UNKNOWN_EQUITY = float("nan")  # never passes a risk check


@dataclass(slots=True)
class AccountBook:
    """Positions in signed shares and cash in USD, as the ledger's executions add up to them.

    `refresh` reads the ledger's whole history; between two of them each new execution and
    commission is added on. `day_start_equity` and `peak_equity` are the broker's worth of the
    account in USD; so that they can be compared with `equity`, `outside_cash` is what the broker
    has in cash beyond the ledger: deposits, withdrawals and dividends that nobody accepted yet.
    `gaps` are the shares (signed) that the broker has beyond the ledger, by symbol, where two looks
    showed the same and nothing else differs about the symbol, the second at `gaps_at` (UTC).
    """

    account: str
    ledger: OrderLedger
    day_start_equity: float = UNKNOWN_EQUITY
    peak_equity: float = UNKNOWN_EQUITY
    watches_inflow: bool = False
    outside_cash: Decimal = Decimal(0)
    is_compared: bool = False  # with the broker's cash
    positions: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    gaps_at: datetime | None = None
    cash: Decimal = Decimal(0)
    _counted: dict[str, tuple[str, Decimal | None]] = field(default_factory=dict)
    _early: dict[str, Decimal] = field(default_factory=dict)
    _adjusted: Decimal | None = None
    _last_equity: float = UNKNOWN_EQUITY

    def refresh(self) -> None:
        """Read positions and cash from the ledger."""
        executions = self.ledger.executions
        self.positions = executions.positions(self.account)
        self.cash = executions.cash(self.account).amount
        fills = executions.fills_of_account(self.account)
        self._counted = {fill.exec_base: (fill.exec_id, fill.commission) for fill in fills}
        adjusted = sum(
            (a.amount for a in self.ledger.adjustments.of_cash(self.account)), Decimal(0)
        )
        if self._adjusted is not None:  # what was accepted meanwhile is no longer outside
            self.outside_cash -= adjusted - self._adjusted
        self._adjusted = adjusted

    def compare_cash(self, at_broker: Decimal) -> None:
        """Take the broker's cash in USD, as of this moment.

        Every commission is known, but for the first time: then what it is off is small. Money that
        nobody has named and that came during the day is no gain: what losses are measured from
        rises with it. Money that went counts as lost until somebody accepts it.
        """
        outside, self.is_compared = at_broker - self.cash, True
        if outside > self.outside_cash and self.watches_inflow:
            self.day_start_equity += float(outside - self.outside_cash)
            self.peak_equity += float(outside - self.outside_cash)
        self.outside_cash = outside

    def add_fill(self, fill: Fill) -> None:
        """Add an execution that the ledger has just taken as new.

        A correction, or the broker's word in place of what a person stated, reads all again.
        """
        if self.gaps_at is not None and fill.at < self.gaps_at:
            self.gaps.pop(fill.symbol, None)  # what the broker had told of the shares already
        is_stated = f"{SETTLED}{fill.order_ref}" in self._counted
        if fill.revision > 1 or fill.commission is not None or is_stated:
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

    def agreed(self, symbol: str) -> int:
        """Return the signed shares that are there by the ledger and by the broker alike."""
        ours = self.positions.get(symbol, 0)
        theirs = ours + self.gaps.get(symbol, 0)
        return min(ours, theirs, key=abs) if ours * theirs > 0 else 0

    def equity(self, quote: Callable[[str], Quote | None]) -> float:
        """Return cash and positions at mid, in USD; not a number while a mid is missing."""
        total = self.cash + self.outside_cash
        for symbol, shares in self.positions.items():
            seen = quote(symbol)
            if seen is None or not seen.is_sane:
                return UNKNOWN_EQUITY
            total += shares * seen.mid
        return float(total)

    def note_worth(self, equity: float) -> None:
        """Raise the highest worth once it was passed at two looks in a row: to the lower of them.

        One wrong tick upwards would else be a drawdown when the next one is right.
        """
        lower = min(self._last_equity, equity)
        if isfinite(equity) and isfinite(self._last_equity) and lower > self.peak_equity:
            self.peak_equity = lower
        self._last_equity = equity


def exec_base(exec_id: str) -> str:
    """Return the part of an execution's id that its corrections keep."""
    return exec_id.rpartition(".")[0] or exec_id
