"""The price increments that an exchange accepts, and rounding to them on the safe side."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

from models.domain.errors import InvalidInput
from models.domain.orders import Side


@dataclass(frozen=True, slots=True)
class PriceBand:
    """From `low_edge` USD on, prices are whole multiples of `increment` USD."""

    low_edge: Decimal
    increment: Decimal


@dataclass(frozen=True, slots=True)
class MarketRule:
    """The increments of an instrument by price, in bands from zero up.

    Raises InvalidInput on no band, a first one that does not begin at zero, edges that do not
    rise, or an increment that is not a positive number.
    """

    bands: tuple[PriceBand, ...]

    def __post_init__(self) -> None:
        edges = [band.low_edge for band in self.bands]
        is_rising = all(low < high for low, high in pairwise(edges))
        if not edges or edges[0] != 0 or not is_rising:
            raise InvalidInput(
                f"a market rule has bands from {', '.join(map(str, edges)) or 'nowhere'} USD; "
                "give bands that begin at 0 and rise"
            )
        for band in self.bands:
            if not band.increment.is_finite() or band.increment <= 0:
                raise InvalidInput(
                    f"a market rule has an increment of {band.increment} USD from "
                    f"{band.low_edge} USD on; give a positive one"
                )

    def increment_at(self, price: Decimal) -> Decimal:
        """Return the increment (USD) of the band that `price` lies in."""
        return self.bands[self._band(price)].increment

    def accepts(self, price: Decimal) -> bool:
        """Say whether `price` is positive and on an increment of its band."""
        return price.is_finite() and price > 0 and price % self.increment_at(price) == 0

    def rounded(self, price: Decimal, side: Side) -> Decimal:
        """Return the nearest accepted price on the safe side, for a limit and a stop alike.

        A buy is rounded down, a sell up: a limit never pays more nor takes less, a stop is reached
        no later. Zero when a buy has no accepted price below. InvalidInput unless `price` is a
        positive number.
        """
        if not price.is_finite() or price <= 0:
            raise InvalidInput(f"{price} USD cannot be rounded to a tick; give a positive price")
        number = self._band(price)
        return self._down(price, number) if side is Side.BUY else self._up(price, number)

    def _band(self, price: Decimal) -> int:
        return max(i for i, band in enumerate(self.bands) if i == 0 or band.low_edge <= price)

    def _up(self, price: Decimal, number: int) -> Decimal:
        found = _multiple(price, self.bands[number].increment, ROUND_CEILING)
        if number + 1 < len(self.bands) and found >= self.bands[number + 1].low_edge:
            return self._up(self.bands[number + 1].low_edge, number + 1)
        return found

    def _down(self, price: Decimal, number: int) -> Decimal:
        band = self.bands[number]
        found = _multiple(price, band.increment, ROUND_FLOOR)
        if number == 0 or found >= band.low_edge:
            return found
        below = self.bands[number - 1].increment
        nearest = _multiple(band.low_edge, below, ROUND_CEILING) - below  # short of the edge itself
        return self._down(nearest, number - 1)


def _multiple(price: Decimal, increment: Decimal, rounding: str) -> Decimal:
    return (price / increment).to_integral_value(rounding) * increment


# SEC Regulation NMS, Rule 612: what holds for a US stock whose own rule is not known.
REG_NMS = MarketRule(
    (PriceBand(Decimal(0), Decimal("0.0001")), PriceBand(Decimal(1), Decimal("0.01")))
)
