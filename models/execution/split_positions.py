"""Positions that differ by a stock split: the same money in other shares."""

from __future__ import annotations

from decimal import Decimal
from math import gcd

CENT = Decimal("0.01")
# New shares for old ones, as companies have split them; merged ones are one for several.
RATIOS = frozenset(
    [(new, 1) for new in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)]
    + [(3, 2), (4, 3), (5, 2), (5, 3), (5, 4), (6, 5), (7, 2)]
)


def split_ratio(ours: int, theirs: int, cash_moved: Decimal | None) -> tuple[int, int] | None:
    """Return (new, old) when signed shares differ by a usual split or merger, else None.

    Only where no money moved: `cash_moved` is broker less ledger in USD, None when that is not
    known. A split that leaves a fraction is paid out in cash, and stays for a person to find.
    """
    if not ours or ours * theirs <= 0 or ours == theirs:
        return None
    if cash_moved is None or abs(cash_moved) >= CENT:
        return None
    part = gcd(ours, theirs)
    new, old = abs(theirs) // part, abs(ours) // part
    is_merger = new == 1 and (old, new) in RATIOS
    return (new, old) if (new, old) in RATIOS or is_merger else None
