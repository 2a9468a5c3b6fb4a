"""Transaction cost analysis: implementation shortfall, split so that its parts add up exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

from models.domain.errors import InvalidInput
from models.domain.orders import Fill, Side
from models.execution.fills import current_fills

BPS = Decimal(10_000)
# Exact for prices of 28 digits and quantities of 18: sums and products then never round.
EXACT = Context(prec=100)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a parent cost against its decision price, in USD; positive is a cost.

    `delay` is the move from decision to arrival on the filled shares, `execution` the cost from
    arrival to the fills, `opportunity` the move to the end on the shares not filled. `fees` is None
    while any commission is unknown; the total then is None too, never too small.
    """

    quantity: int
    filled: int
    decision_notional: Decimal
    delay: Decimal
    execution: Decimal
    opportunity: Decimal
    fees: Decimal | None

    @property
    def is_complete(self) -> bool:
        """Say whether every commission is known."""
        return self.fees is not None

    @property
    def before_fees(self) -> Decimal:
        """Delay + execution + opportunity in USD, exactly."""
        with localcontext(EXACT):
            return self.delay + self.execution + self.opportunity

    @property
    def total(self) -> Decimal | None:
        """The implementation shortfall in USD, fees included; None while a fee is unknown."""
        if self.fees is None:
            return None
        with localcontext(EXACT):
            return self.before_fees + self.fees

    @property
    def before_fees_bps(self) -> Decimal:
        """The shortfall without fees, in bps of the decision notional."""
        return self.to_bps(self.before_fees)

    @property
    def total_bps(self) -> Decimal | None:
        """The shortfall with fees, in bps of the decision notional; None while a fee is unknown."""
        return None if self.total is None else self.to_bps(self.total)

    def to_bps(self, amount: Decimal) -> Decimal:
        """Express USD in bps of the decision notional (quantity x decision price)."""
        return amount / self.decision_notional * BPS


def shortfall(
    side: Side,
    quantity: int,
    *,
    decision_price: Decimal,
    arrival_price: Decimal,
    end_price: Decimal,
    fills: Iterable[Fill],
) -> Shortfall:
    """Split the implementation shortfall of a parent of `quantity` shares (prices in USD).

    With s = +1 for a buy and -1 for a sell, decision price d, arrival mid a, end price e, fills
    (q_i, p_i) summing to Q of X shares: delay = s Q (a - d), execution = s sum q_i (p_i - a),
    opportunity = s (X - Q)(e - d); with fees they sum to s [sum q_i (p_i - d) + (X - Q)(e - d)] +
    fees (Perold, 1988, The implementation shortfall: paper versus reality; split as by Kissell,
    2006). Superseded and busted executions don't count. Raises InvalidInput on a quantity below 1
    or a price that is not finite and positive.
    """
    executions = current_fills(fills)
    prices = (decision_price, arrival_price, end_price, *(fill.price for fill in executions))
    if quantity < 1 or not all(price.is_finite() and price > 0 for price in prices):
        raise InvalidInput(
            f"no shortfall for {quantity} shares with prices {', '.join(map(str, prices))}; "
            "give at least 1 share and finite positive prices"
        )
    filled = sum(fill.quantity for fill in executions)
    with localcontext(EXACT):
        traded = sum((f.quantity * (f.price - arrival_price) for f in executions), Decimal(0))
        return Shortfall(
            quantity=quantity,
            filled=filled,
            decision_notional=quantity * decision_price,
            delay=side.sign * filled * (arrival_price - decision_price),
            execution=side.sign * traded,
            opportunity=side.sign * (quantity - filled) * (end_price - decision_price),
            fees=_fees(executions),
        )


def average_price(fills: Iterable[Fill]) -> Decimal | None:
    """Return the share-weighted average price in USD, or None without a fill."""
    executions = current_fills(fills)
    filled = sum(fill.quantity for fill in executions)
    if not filled:
        return None
    return sum((fill.quantity * fill.price for fill in executions), Decimal(0)) / filled


def _fees(executions: Iterable[Fill]) -> Decimal | None:
    fees = Decimal(0)
    for fill in executions:
        if fill.commission is None:
            return None
        fees += fill.commission
    return fees
