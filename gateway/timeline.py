"""Market time as whole microseconds since 1970 UTC, and the exchange's sessions on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache

from models.domain.sessions import (
    EXCHANGE_TZ,
    TradingSession,
    at_exchange_time,
    next_session,
    session_on,
)

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(moment: datetime) -> int:
    """Return a timezone-aware moment as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """Return microseconds since 1970 UTC as a timezone-aware moment."""
    return _EPOCH + timedelta(microseconds=micros)


def to_iso(micros: int) -> str:
    """Return ISO-8601 UTC with microseconds, as the control socket writes it."""
    return from_micros(micros).isoformat(timespec="microseconds")


def new_york(micros: int) -> datetime:
    """Return the New York wall-clock time of a moment."""
    return from_micros(micros).astimezone(EXCHANGE_TZ)


@dataclass(frozen=True, slots=True)
class Span:
    """One session: its date, and open and close in microseconds."""

    date: date
    open: int
    close: int

    @property
    def seconds(self) -> int:
        """The session's length in seconds (23,400; 12,600 on a half-day)."""
        return (self.close - self.open) // SECOND

    @property
    def minutes(self) -> int:
        """The session's length in minutes (390; 210 on a half-day)."""
        return self.seconds // 60

    def second(self, micros: int) -> int:
        """Return the whole seconds since the open, held inside [0, seconds]."""
        return min(max((micros - self.open) // SECOND, 0), self.seconds)


def _span(session: TradingSession) -> Span:
    return Span(session.date, to_micros(session.open), to_micros(session.close))


@cache
def span_on(day: date) -> Span | None:
    """Return the session of a New York date, or None when the market is closed that day."""
    session = session_on(day)
    return None if session is None else _span(session)


@lru_cache(maxsize=256)
def forex_span(day: date) -> Span:
    """Return the forex day of a session date: 17:15 New York the evening before to 17:00."""
    opened = at_exchange_time(day - timedelta(days=1), 17, 15)
    return Span(day, to_micros(opened), to_micros(at_exchange_time(day, 17)))


@lru_cache(maxsize=256)
def extended_span(day: date) -> Span:
    """Return the hours of pre- and after-market trading of a session date: 04:00 to 20:00.

    On a half-day after-market trading ends at 17:00.
    """
    span = span_on(day)
    last = 20 if span is None or span.minutes == 390 else 17
    opened, closed = at_exchange_time(day, 4), at_exchange_time(day, last)
    return Span(day, to_micros(opened), to_micros(closed))


@lru_cache(maxsize=256)
def stretches(day: date) -> tuple[Span, ...]:
    """Return pre-market, session and after-market of a New York date, in order; none if closed."""
    span = span_on(day)
    if span is None:
        return ()
    wide = extended_span(day)
    return Span(day, wide.open, span.open), span, Span(day, span.close, wide.close)


def running_stretch(micros: int) -> Span | None:
    """Return the stretch of trading, in the session or around it, that holds a moment, or None."""
    for span in stretches(new_york(micros).date()):
        if span.open <= micros < span.close:
            return span
    return None


@lru_cache(maxsize=256)
def span_after(day: date) -> Span:
    """Return the first session strictly after a New York date."""
    return _span(next_session(day))


@lru_cache(maxsize=64)
def _current_on(day: date) -> Span:
    return span_on(day) or span_after(day)


def current_span(micros: int) -> Span:
    """Return the session that is running, or else the next one to open."""
    span = _current_on(new_york(micros).date())
    return span if micros < span.close else span_after(span.date)


def running_span(micros: int) -> Span | None:
    """Return the session whose [open, close) holds the moment, or None."""
    span = current_span(micros)
    return span if span.open <= micros < span.close else None
