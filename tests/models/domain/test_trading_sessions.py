from datetime import UTC, date, datetime, timedelta

import pytest

from models.domain.errors import (
    HaltTrading,
    InvalidInput,
    RetryLater,
    RoboError,
    SkipToday,
)
from models.domain.sessions import (
    at_exchange_time,
    exchange_date,
    next_session,
    previous_session,
    session_dates,
    session_on,
    sessions_between,
)


def test_a_regular_session_in_winter_and_in_summer():
    winter, summer = session_on(date(2023, 1, 3)), session_on(date(2023, 7, 5))
    assert winter is not None
    assert summer is not None
    assert winter.open == datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
    assert winter.close == datetime(2023, 1, 3, 21, tzinfo=UTC)
    assert summer.open == datetime(2023, 7, 5, 13, 30, tzinfo=UTC)
    assert not winter.is_half_day


@pytest.mark.parametrize("day", [date(2026, 11, 27), date(2026, 12, 24)])
def test_half_days_close_at_one_in_new_york(day):
    session = session_on(day)
    assert session is not None
    assert session.is_half_day
    assert session.close == at_exchange_time(day, 13)


@pytest.mark.parametrize("day", [date(2023, 1, 1), date(2023, 1, 2), date(2023, 7, 4)])
def test_weekends_and_holidays_have_no_session(day):
    assert session_on(day) is None


def test_a_session_holds_its_open_and_not_its_close():
    session = session_on(date(2023, 1, 3))
    assert session is not None
    assert session.contains(session.open)
    assert session.contains(session.close - timedelta(microseconds=1))
    assert not session.contains(session.close)
    assert not session.contains(session.open - timedelta(microseconds=1))


def test_neighbours_skip_the_long_weekend():
    assert next_session(date(2022, 12, 30)).date == date(2023, 1, 3)
    assert previous_session(date(2023, 1, 3)).date == date(2022, 12, 30)
    assert session_dates(date(2022, 12, 30), date(2023, 1, 4)) == (
        date(2022, 12, 30),
        date(2023, 1, 3),
        date(2023, 1, 4),
    )


def test_daylight_saving_moves_the_clock_in_utc_only():
    assert at_exchange_time(date(2023, 3, 10), 9, 30).hour == 14
    assert at_exchange_time(date(2023, 3, 13), 9, 30).hour == 13
    assert exchange_date(datetime(2023, 1, 4, 2, tzinfo=UTC)) == date(2023, 1, 3)


@pytest.mark.parametrize("day", [date(1980, 1, 2), date(2200, 1, 2)])
def test_a_date_outside_the_calendar_says_so(day):
    with pytest.raises(InvalidInput, match="outside the XNYS calendar"):
        session_on(day)


def test_every_error_is_one_of_ours():
    for error in (HaltTrading, RetryLater, SkipToday, InvalidInput):
        assert issubclass(error, RoboError)
        assert error.__mro__.index(RoboError) == 1


def test_the_sessions_of_a_span_are_those_of_its_days():
    first, last = date(2022, 11, 21), date(2023, 1, 5)
    days = session_dates(first, last)
    assert sessions_between(first, last) == tuple(session_on(day) for day in days)
    assert any(session.is_half_day for session in sessions_between(first, last))
    assert sessions_between(date(2024, 1, 6), date(2024, 1, 7)) == ()
