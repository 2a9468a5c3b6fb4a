"""Which stretch of the New York day runs, and when the next one begins."""

from __future__ import annotations

from datetime import timedelta

from gateway.timeline import Span, extended_span, new_york, span_on, to_micros
from models.domain.sessions import at_exchange_time


class Hours:
    """The stretch around one moment: `live` is the trading span that runs, None between them.

    `regular` says that it is the session itself, `live` being pre- or after-market otherwise.
    [`since`, `until`) is how long that holds; `until` is a session edge or midnight.
    """

    def __init__(self, now: int) -> None:
        self.live: Span | None = None
        self.regular = False
        self.since = self.until = now

    def at(self, now: int) -> Hours:
        """Look at the stretch that holds `now`."""
        if not self.since <= now < self.until:
            self._find(now)
        return self

    def _find(self, now: int) -> None:
        day = new_york(now).date()
        midnight = to_micros(at_exchange_time(day, 0))
        tomorrow = to_micros(at_exchange_time(day + timedelta(days=1), 0))
        session, edges = span_on(day), [midnight, tomorrow]
        if session is not None:
            around = extended_span(day)
            edges[1:1] = [around.open, session.open, session.close, around.close]
        place = max(i for i, edge in enumerate(edges) if edge <= now)
        self.since, self.until = edges[place], edges[place + 1]
        self.regular = place == 2
        self.live = None
        if session is not None and place in {1, 2, 3}:
            self.live = session if place == 2 else Span(day, self.since, self.until)


def midnight_of(now: int) -> int:
    """Return the midnight in New York at or before a moment."""
    return to_micros(at_exchange_time(new_york(now).date(), 0))
