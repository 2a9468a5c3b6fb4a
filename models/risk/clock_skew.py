"""How far the local clock is proven to be off the broker's, which tells whole seconds only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

RESOLUTION = timedelta(seconds=1)  # of the broker's answer, which is cut, not rounded


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The broker's time `told` (UTC), asked for at `before` and there at `after`, local time."""

    before: datetime
    told: datetime
    after: datetime


def proven_skew(readings: Sequence[ClockReading]) -> float:
    """Return the least skew in seconds that explains every reading, above 0 when local is ahead.

    Each answer was true at some moment between its question and its arrival, and up to a second
    older than it says; several, at different fractions of a second, narrow that down.
    """
    if not readings:
        return 0.0
    low = max((r.before - r.told - RESOLUTION).total_seconds() for r in readings)
    high = min((r.after - r.told).total_seconds() for r in readings)
    if low > 0:
        return low
    return min(high, 0.0)
