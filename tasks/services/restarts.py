"""How often a service that died is started again: a few times, with growing pauses."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST = 5
WINDOW = 600.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 16.0  # seconds


@dataclass(slots=True)
class RestartBudget:
    """At most `most` restarts within `window` seconds; each pause is twice the one before."""

    most: int = MOST
    window: float = WINDOW
    _at: list[float] = field(default_factory=list)

    @property
    def used(self) -> int:
        """How many restarts count at this moment."""
        return len(self._at)

    def next_pause(self, now: float) -> float | None:
        """Count a restart at `now` (monotonic s); return the pause before it, None for no more."""
        self._at = [moment for moment in self._at if now - moment < self.window]
        if len(self._at) >= self.most:
            return None
        self._at.append(now)
        return min(FIRST_PAUSE * 2.0 ** (len(self._at) - 1), LONGEST_PAUSE)
