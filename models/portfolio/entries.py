"""The average price at which a position was entered."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from models.domain.orders import Fill


def average_entry(fills: Iterable[Fill], opening: int, reference: Decimal) -> Decimal | None:
    """Return the average entry in USD of what `fills` of one symbol leave, None when flat.

    `fills` are oldest first; `opening` signed shares were held before them, entered (as far as is
    known) at `reference` USD. A sale of a part keeps the average; crossing zero starts anew.
    """
    held, average = opening, reference
    for fill in fills:
        signed = fill.side.sign * fill.quantity
        after = held + signed
        if held * signed >= 0 and after:
            average = (abs(held) * average + fill.quantity * fill.price) / abs(after)
        elif held * after < 0:
            average = fill.price
        held = after
    return average if held else None
