"""Faults of the account: money that moves without a trade."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from gateway.faults.registry import Fault, fault


@fault("cash-movement", "Move cash without a trade: a dividend, interest, a deposit or a fee.")
class CashMovement(Fault):
    """`amount` USD, negative for what is taken; told with the next account update."""

    amount: float = 123.45

    def begin(self) -> None:
        """Book it; that is all."""
        cents = Decimal(str(self.amount)) * 100
        self.desk.exchange.account.cash += int(cents.quantize(Decimal(1), ROUND_HALF_UP))
        self.desk.finish(self)
