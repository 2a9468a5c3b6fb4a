"""What a person hears while market time runs to a far moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import typer

from models.domain.errors import RetryLater

FIRST, EVERY = 2.0, 15.0  # wall seconds until the first word, and between two


class Progress:
    """Tells on stderr how far an advance has come, and ends it after `timeout` wall seconds.

    `status` asks the gateway how things stand; `to` is the moment that is waited for.
    """

    def __init__(self, status: Callable[[], dict[str, Any]], to: str, timeout: float) -> None:
        self._status = status
        self._to = to
        self._timeout = timeout
        self._began = time.monotonic()
        self._next = FIRST

    def tell(self) -> None:
        """Say where market time is when it is time to; raise RetryLater when it takes too long."""
        passed = time.monotonic() - self._began
        if self._timeout and passed >= self._timeout:
            now = self._status()["now"]
            raise RetryLater(
                f"market time has come to {now} in {passed:.0f} s and not to {self._to}; run the "
                "same command again to go on, or the gateway with a higher --speed or --clock step"
            )
        if passed >= self._next:
            self._next = passed + EVERY
            typer.echo(words(self._status(), self._to), err=True)


def words(status: dict[str, Any], to: str) -> str:
    """Return where market time is, and how many wall minutes are left or who holds it."""
    now, speed = status["now"], status["speed"]
    blocking = [one["name"] for one in status["holders"] if one["target"] is None]
    if blocking:
        return f"market time {now}: it waits for {', '.join(blocking)}, who holds the clock"
    left = session_seconds(datetime.fromisoformat(now), datetime.fromisoformat(to)) / speed / 60.0
    pace = "as fast as it can" if status["clock"] == "step" else f"{left:.1f} wall minutes left"
    return f"market time {now}, on the way to {to}: {pace} (speed {speed:g})"


def session_seconds(start: datetime, end: datetime) -> float:
    """Return the seconds of regular sessions between two moments; other hours are jumped over."""
    from models.domain.sessions import exchange_date, next_session, session_on

    day, total = exchange_date(start), 0.0
    session = session_on(day) or next_session(day)
    while session.open < end:
        length = min(session.close, end) - max(session.open, start)
        total += max(length.total_seconds(), 0.0)
        session = next_session(session.date)
    return total
