"""The account as a session sees it while it trades: cash, positions, equity at present mids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.errors import HaltTrading

if TYPE_CHECKING:
    from models.domain.orders import Quote
    from tasks.broker.protocol import Evidence
    from warehouse.ledger import OrderLedger

UNKNOWN_EQUITY = float("nan")  # never passes a risk check


@dataclass(slots=True)
class AccountBook:
    """Positions in signed shares and cash in USD, derived from the ledger after each change.

    `day_start_equity` and `peak_equity` are what the broker reported, in USD.
    """

    account: str
    ledger: OrderLedger
    day_start_equity: float
    peak_equity: float
    positions: dict[str, int] = field(default_factory=dict)
    cash: Decimal = Decimal(0)

    def refresh(self) -> None:
        """Read positions and cash from the ledger."""
        self.positions = self.ledger.executions.positions(self.account)
        self.cash = self.ledger.executions.cash(self.account).amount

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


def position_differences(
    ours: dict[str, int], theirs: dict[str, int]
) -> tuple[tuple[str, int, int], ...]:
    """Return (symbol, shares in the ledger, shares at the broker) wherever the two differ."""
    return tuple(
        (symbol, ours.get(symbol, 0), theirs.get(symbol, 0))
        for symbol in sorted(ours.keys() | theirs.keys())
        if ours.get(symbol, 0) != theirs.get(symbol, 0)
    )


def require_agreement(ledger: OrderLedger, evidence: Evidence) -> None:
    """Raise HaltTrading that lists every position in which ledger and broker differ."""
    differences = position_differences(
        ledger.executions.positions(evidence.account), evidence.positions
    )
    if differences:
        raise HaltTrading(
            "positions differ between ledger and broker: "
            + _listed(differences)
            + "; nothing was sent: find the cause (a trade by hand?) with `robo reconcile`"
        )


def _listed(differences: Iterable[tuple[str, int, int]]) -> str:
    return ", ".join(
        f"{symbol} {ours} shares in the ledger, {theirs} at the broker"
        for symbol, ours, theirs in differences
    )
