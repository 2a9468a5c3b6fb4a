"""Exchange sessions of XNYS, half-days and holidays included, as exchange_calendars has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar  # pyright: ignore[reportMissingTypeStubs]

EXCHANGE = "XNYS"
EXCHANGE_TZ = ZoneInfo("America/New_York")
FIRST_SESSION = "1989-12-01"


@dataclass(frozen=True, slots=True)
class TradingSession:
    """One regular trading session: its New York date, and open and close in UTC."""

    date: date
    open: datetime
    close: datetime

    @property
    def is_half_day(self) -> bool:
        """Say whether the session is shorter than the regular 6.5 hours."""
        return self.close - self.open < timedelta(hours=6, minutes=30)

    def contains(self, moment: datetime) -> bool:
        """Say whether `moment` (timezone-aware) lies in [open, close)."""
        return self.open <= moment < self.close


@lru_cache(maxsize=1)
def _calendar() -> ExchangeCalendar:
    import exchange_calendars  # pyright: ignore[reportMissingTypeStubs]

    return exchange_calendars.get_calendar(EXCHANGE, start=FIRST_SESSION)


def session_on(day: date) -> TradingSession | None:
    """Return the session of a New York date, or None on a weekend or holiday.

    Raises InvalidInput when the date lies outside the published calendar.
    """
    calendar = _calendar()
    label = _label(day)
    if not calendar.is_session(label):
        return None
    return TradingSession(
        date=day,
        open=calendar.session_open(label).to_pydatetime().astimezone(UTC),
        close=calendar.session_close(label).to_pydatetime().astimezone(UTC),
    )


def next_session(after: date) -> TradingSession:
    """Return the first session strictly after a New York date."""
    return _found(_calendar().date_to_session(_label(after + timedelta(days=1)), "next").date())


def previous_session(before: date) -> TradingSession:
    """Return the last session strictly before a New York date."""
    label = _label(before - timedelta(days=1))
    return _found(_calendar().date_to_session(label, "previous").date())


def session_dates(first: date, last: date) -> tuple[date, ...]:
    """Return every session date in [first, last], oldest first."""
    sessions = _calendar().sessions_in_range(_label(first), _label(last))
    return tuple(stamp.date() for stamp in sessions)


@lru_cache(maxsize=64)
def sessions_between(first: date, last: date) -> tuple[TradingSession, ...]:
    """Return every session with a date in [first, last], oldest first."""
    hours = _calendar().schedule.loc[_label(first) : _label(last), ["open", "close"]]
    return tuple(
        TradingSession(
            label.date(),
            opens.to_pydatetime().astimezone(UTC),
            closes.to_pydatetime().astimezone(UTC),
        )
        for label, opens, closes in hours.itertuples(name=None)
    )


def exchange_date(moment: datetime) -> date:
    """Return the New York calendar date of a timezone-aware moment."""
    return moment.astimezone(EXCHANGE_TZ).date()


def at_exchange_time(day: date, hour: int, minute: int = 0) -> datetime:
    """Return the UTC moment of a New York wall-clock time on `day`."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=EXCHANGE_TZ).astimezone(UTC)


def in_calendar(day: date) -> bool:
    """Tell whether the published calendar reaches to a date: about a year ahead."""
    first, last = calendar_bounds()
    return first <= day <= last


@lru_cache(maxsize=1)
def calendar_bounds() -> tuple[date, date]:
    """Return the first and the last session of the published calendar."""
    calendar = _calendar()
    return calendar.first_session.date(), calendar.last_session.date()


def _label(day: date) -> str:
    calendar = _calendar()
    if not in_calendar(day):
        raise InvalidInput(
            f"{day} is outside the {EXCHANGE} calendar "
            f"({calendar.first_session.date()} to {calendar.last_session.date()}); "
            "give a date inside it, or update exchange_calendars"
        )
    return day.isoformat()


def _found(day: date) -> TradingSession:
    session = session_on(day)
    if session is None:  # the calendar answered with a date that it then denies
        raise InvalidInput(f"{EXCHANGE} calendar names {day} a session and then denies it")
    return session
