"""What is traded: an instrument, its tickers over time, its tick rule, and membership of universes.

An interval of dates is [valid_from, valid_to); FOREVER stands for one that has not ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise

from models.domain.errors import InvalidInput

BEGINNING = date(1900, 1, 1)
FOREVER = date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing under its stable id; None and "" are what is not known."""

    symbol: str
    con_id: int | None = None
    name: str = ""
    primary_exchange: str = ""
    currency: str = "USD"
    listed: date | None = None
    delisted: date | None = None  # the first date without trading


@dataclass(frozen=True, slots=True)
class TickStep:
    """From a price on (USD), prices are multiples of `increment` (USD)."""

    from_price: Decimal
    increment: Decimal


@dataclass(frozen=True, slots=True)
class SymbolSpan:
    """The ticker that an instrument had in [valid_from, valid_to)."""

    instrument: str
    symbol: str
    valid_from: date = BEGINNING
    valid_to: date = FOREVER

    def contains(self, day: date) -> bool:
        """Say whether the ticker was the instrument's on `day`."""
        return self.valid_from <= day < self.valid_to


@dataclass(frozen=True, slots=True)
class Membership:
    """An instrument belonged to a universe in [valid_from, valid_to)."""

    universe: str
    symbol: str
    valid_from: date = BEGINNING
    valid_to: date = FOREVER


def require_spans(spans: Iterable[SymbolSpan]) -> tuple[SymbolSpan, ...]:
    """Return the spans; raise InvalidInput for an empty one or a ticker with two owners at once."""
    found = tuple(sorted(spans, key=lambda span: (span.symbol, span.valid_from, span.instrument)))
    for span in found:
        if span.valid_from >= span.valid_to:
            raise InvalidInput(
                f"the ticker {span.symbol} of {span.instrument} ends on {span.valid_to}, not after "
                f"its first day {span.valid_from}; give the first date on which it was gone"
            )
    for before, after in pairwise(found):
        if before.symbol == after.symbol and after.valid_from < before.valid_to:
            raise InvalidInput(
                f"the ticker {after.symbol} belongs to {before.instrument} until {before.valid_to} "
                f"and to {after.instrument} from {after.valid_from}; let the first end by "
                f"then: a line {before.instrument},{before.symbol},"
                f"{'' if before.valid_from == BEGINNING else before.valid_from},{after.valid_from}"
            )
    return found


def tick_at(steps: Iterable[TickStep], price: Decimal) -> Decimal | None:
    """Return the price increment (USD) that holds at `price`, or None where no step does."""
    held = [step for step in steps if step.from_price <= price]
    return max(held, key=lambda step: step.from_price).increment if held else None


def round_down_to_tick(steps: Iterable[TickStep], price: Decimal) -> Decimal:
    """Return the highest valid price (USD) not above `price`; the price itself without a rule."""
    tick = tick_at(steps, price)
    if tick is None:
        return price
    return (price / tick).to_integral_value(ROUND_DOWN) * tick
