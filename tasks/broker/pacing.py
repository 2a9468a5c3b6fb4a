"""Who may use how much of the 45 messages a second that a connection sends.

Interactive Brokers allows 50 and complains (code 100) of more; the client queues what is over 45.
Each urgency leaves room to those above it, so that no cancel ever waits behind new orders.
"""

from __future__ import annotations

from enum import IntEnum

A_SECOND = 45
NO_LIMIT = 10**6


class Urgency(IntEnum):
    """What a message is for; the greater goes first."""

    NEW = 1
    REDUCING = 2  # an order that makes a position smaller
    CANCEL = 3


SHARES = {Urgency.NEW: 25, Urgency.REDUCING: 35, Urgency.CANCEL: A_SECOND}


def room(used: int, urgency: Urgency) -> int:
    """Return how many messages of an urgency may go now, of which `used` went within a second."""
    return max(0, SHARES[urgency] - used)


def urgency_of(held: int, change: int) -> Urgency:
    """Return the urgency of an order for `change` signed shares, of which `held` are there."""
    reduces = held * change < 0 and abs(change) <= abs(held)
    return Urgency.REDUCING if reduces else Urgency.NEW
