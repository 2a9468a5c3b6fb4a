"""The average price at which a position was entered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from models.domain.orders import Fill
from models.portfolio.lots import Adjustment, CostMethod, Split, Transfer, replay


def average_entry(
    fills: Iterable[Fill],
    opening: Transfer,
    reference: Decimal,
    changes: Iterable[Adjustment] = (),
) -> Decimal | None:
    """Return the average entry (USD a share of now) of what one symbol's history leaves.

    `changes` are its splits and transfers. What came without a known cost, the `opening` shares
    among them, entered (as far as is known) at `reference` USD a share of now. A sale of a part
    keeps the average; crossing zero starts anew. None when flat.
    """
    changes = tuple(changes)
    splits = [change for change in changes if isinstance(change, Split)]

    def priced(one: Transfer) -> Transfer:
        if one.price is not None:
            return one
        return replace(one, price=reference * _later(splits, one.at))

    moved = [one if isinstance(one, Split) else priced(one) for one in changes]
    books = replay(CostMethod.AVERAGE, fills, opening=[priced(opening)], adjustments=moved)
    book = books.get(opening.symbol)
    return None if book is None else book.average_cost


def _later(splits: Iterable[Split], since: datetime) -> Decimal:
    """Return how many shares of now one share of then has become."""
    factor = Fraction(1)
    for split in splits:
        if split.at >= since:
            factor *= Fraction(split.new, split.old)
    return Decimal(factor.numerator) / Decimal(factor.denominator)
