"""What a flatten has to do: how many shares of each symbol to close, and in how many pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from models.domain.orders import Side
from models.risk.limits import RiskLimits

FEWEST_SLICES = 3  # what one piece leaves unfilled, the next takes along
HEADROOM = 1.1  # of the notional limit, for a price that moves meanwhile


@dataclass(frozen=True, slots=True)
class Closing:
    """Shares of one symbol to buy or sell so that the position is gone; always positive."""

    symbol: str
    side: Side
    quantity: int


def closings(
    held: Mapping[str, int], ours: Mapping[str, int], *, symbol: str = "", everything: bool = False
) -> tuple[Closing, ...]:
    """Return what closes our positions (or all of them), by symbol; never more than is held.

    `held` are the signed shares of the account, `ours` those that this system's orders have made.
    Where the two have different signs (a trade by hand outweighs ours) nothing can be reduced.
    """
    found: list[Closing] = []
    for name, shares in sorted(held.items()):
        if not shares or (symbol and name != symbol):
            continue
        own = shares if everything else ours.get(name, 0)
        if own * shares > 0:
            side = Side.SELL if shares > 0 else Side.BUY
            found.append(Closing(name, side, min(abs(own), abs(shares))))
    return tuple(found)


def pieces(quantity: int, price: float, limits: RiskLimits) -> int:
    """Return into how many children to cut `quantity` shares at `price` USD, by the limits."""
    by_value = ceil(HEADROOM * quantity * price / limits.max_order_notional)
    by_shares = ceil(quantity / limits.max_order_quantity)
    return min(1000, max(FEWEST_SLICES, by_value, by_shares))
