"""What Interactive Brokers' numbers mean to this system.

A code is a hint and never by itself proof of an order's end: several of them come for orders that
live on (399 held until the open, 10349 time in force preset, 161 and 10147 for a cancel).
"""

from __future__ import annotations

# An order status Inactive together with one of these is a rejection.
_REJECTIONS = frozenset({110, 200, 201, 203, 321, 354, 387, 388, 434, 460, 463, 10243, 10268})

CONNECTIVITY_LOST = frozenset({1100, 2110})
CONNECTIVITY_RESTORED = frozenset({1101, 1102})


def is_rejection(code: int) -> bool:
    """Say whether `code` explains why an order was refused."""
    return code in _REJECTIONS
