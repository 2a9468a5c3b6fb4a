"""The account's cash and positions, exact in whole cents, and what its broker charges."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

PER_SHARE = Decimal("0.5")  # cents; IBKR Pro fixed, US stocks
LEAST = Decimal(100)  # cents an order
MOST = Decimal("0.01")  # of the trade value
INITIAL_MARGIN = Decimal("0.5")  # Regulation T
MAINTENANCE_MARGIN = Decimal("0.25")


def commission_for(shares: int, value: int) -> int:
    """Return the commission in cents of an order that has traded `shares` for `value` cents.

    IBKR Pro fixed pricing: 0.005 USD a share, at least 1.00 USD, at most 1% of the trade value.
    """
    charge = min(max(PER_SHARE * shares, LEAST), MOST * value)
    return int(charge.quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(slots=True)
class Position:
    """Signed shares and their total cost in cents, commissions of the opening trades included.

    `realized`, `flow` and `opening` are of the current day: profit booked, cash in from trades, and
    the value at the last close.
    """

    shares: int = 0
    basis: int = 0
    realized: int = 0
    flow: int = 0
    opening: int = 0

    @property
    def average_cost(self) -> float:
        """The average cost in USD a share (positive for shorts as well)."""
        return self.basis / self.shares / 100.0 if self.shares else 0.0


@dataclass(slots=True)
class Account:
    """One US dollar account. `cash` is cents; positions are keyed by instrument column."""

    cash: int
    positions: dict[int, Position] = field(default_factory=dict)
    prior_equity: int = 0

    def trade(self, column: int, buy: bool, shares: int, price: int) -> int | None:
        """Book a fill; return the realised profit in cents before commission, None if it opened.

        The basis of what is closed leaves in proportion, rounded to the cent; the rest keeps the
        remainder, so that all profits sum exactly to the cash that moved.
        """
        position = self.positions.setdefault(column, Position())
        signed = shares if buy else -shares
        self.cash -= signed * price
        position.flow -= signed * price
        closing = min(shares, abs(position.shares)) if position.shares * signed < 0 else 0
        realized: int | None = None
        if closing:
            sign = 1 if position.shares > 0 else -1
            released = round(Decimal(position.basis) * closing / abs(position.shares))
            realized = sign * closing * price - released
            position.basis -= released
            position.shares -= sign * closing
            position.realized += realized
        opening = shares - closing
        position.shares += opening if buy else -opening
        position.basis += (opening if buy else -opening) * price
        return realized

    def charge(self, column: int, amount: int, closed: bool) -> None:
        """Book a commission in cents: against profit when the trade closed, else into the basis."""
        self.cash -= amount
        position = self.positions.setdefault(column, Position())
        position.flow -= amount
        if closed or position.shares == 0:
            position.realized -= amount
        else:
            position.basis += amount

    def equity(self, marks: dict[int, int]) -> int:
        """Return cash plus positions at `marks` (cents by column), in cents."""
        return self.cash + sum(
            position.shares * marks[column] for column, position in self.positions.items()
        )

    def gross(self, marks: dict[int, int]) -> int:
        """Return the sum of absolute position values in cents."""
        return sum(
            abs(position.shares) * marks[column] for column, position in self.positions.items()
        )

    def start_day(self, marks: dict[int, int]) -> None:
        """Begin a day: profit counts from the last close."""
        self.prior_equity = self.equity(marks)
        for column, position in self.positions.items():
            position.realized = position.flow = 0
            position.opening = position.shares * marks[column]
