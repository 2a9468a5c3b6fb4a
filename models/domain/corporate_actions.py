"""Splits and cash dividends: what a company does to its shares and their price."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from models.domain.errors import InvalidInput

FINEST_SPLIT = 1000  # the largest count of old or new shares that a ratio is read as


class ActionKind(StrEnum):
    """What happened."""

    SPLIT = "split"
    DIVIDEND = "dividend"


class Adjustment(StrEnum):
    """What a view of prices makes up for."""

    RAW = "raw"
    SPLITS = "splits"
    TOTAL_RETURN = "total-return"


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """One action, in force from the open of `ex_date` (New York).

    `value` is, for a split, new shares for one old share; for a dividend, USD a share as they were
    counted on the day before. Raises InvalidInput for a value that is not positive.
    """

    symbol: str
    ex_date: date
    kind: ActionKind
    value: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise InvalidInput(
                f"the {self.kind} of {self.symbol} on {self.ex_date} is {self.value}; give new "
                "shares for one old share, or USD a share, above zero"
            )

    @property
    def ratio(self) -> Fraction:
        """A split's new shares for one old share, as the simple fraction that it is."""
        return Fraction(self.value).limit_denominator(FINEST_SPLIT)


@dataclass(frozen=True, slots=True)
class PriceBasis:
    """What a source had put into its prices: splits, and dividends, with ex-dates up to a date.

    None is no dividends.
    """

    splits_through: date
    dividends_through: date | None = None


def shares_after(shares: int, splits: Iterable[CorporateAction]) -> Fraction:
    """Return what signed `shares` have become after the splits; a fraction is paid out in cash."""
    held = Fraction(shares)
    for action in splits:
        if action.kind is ActionKind.SPLIT:
            held *= action.ratio
    return held
