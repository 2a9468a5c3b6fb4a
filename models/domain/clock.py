"""The one clock that trading code is given; models never call it (`now` is an argument)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Market time: the wall clock, the gateway's (possibly accelerated) clock, or virtual time."""

    def now(self) -> datetime:
        """Return the present market time (timezone-aware UTC)."""
        ...

    async def sleep_until(self, moment: datetime) -> None:
        """Return once market time has reached `moment`; at once if it already has."""
        ...

    def wall_seconds_until(self, moment: datetime) -> float:
        """Estimate the real seconds that waiting for `moment` takes (0 if it has passed)."""
        ...
