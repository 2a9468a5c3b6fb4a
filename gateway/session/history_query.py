"""What a history request means: which sessions, which bars, up to when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from gateway.engine.refusal import Refused
from gateway.market.market import Market
from gateway.session.contracts import one_column
from gateway.session.moments import parse_moment
from gateway.timeline import SECOND, new_york

Values = dict[str, Any]

SIZES = {
    **{"1 sec": 1, "5 secs": 5, "10 secs": 10, "15 secs": 15, "30 secs": 30},
    **{"1 min": 60, "2 mins": 120, "3 mins": 180, "5 mins": 300, "10 mins": 600},
    **{"15 mins": 900, "20 mins": 1200, "30 mins": 1800, "1 hour": 3600, "2 hours": 7200},
    **{"3 hours": 10800, "4 hours": 14400, "8 hours": 28800},
}
DAILY = {"1 day": "day", "1 week": "week", "1W": "week", "1 month": "month", "1M": "month"}
SHOWS = frozenset(("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"))
STEPS = {"S": 1, "D": 0, "W": 7, "M": 30, "Y": 365}


@dataclass(frozen=True, slots=True)
class Query:
    """One history request, understood. `end` is microseconds; `count` and `unit` its duration."""

    column: int
    end: int
    count: int
    unit: str
    size: str
    show: str
    epoch: bool


def read_query(values: Values, now: int) -> Query:
    """Understand a reqHistoricalData; raise Refused for what cannot be meant."""
    text = values["endDateTime"].strip()
    if text and values["keepUpToDate"]:
        raise Refused(
            321, "Error validating request.-'bP' : cause - End date not supported with keepUpToDate"
        )
    count, _, unit = values["duration"].strip().partition(" ")
    if not count.isdigit() or not 1 <= int(count) <= 10**6 or unit not in STEPS:
        raise Refused(
            321,
            "Error validating request.-'bP' : cause - Historical data query duration is invalid: "
            "use a number, a space and one of S, D, W, M, Y",
        )
    query = Query(
        column=one_column(values),
        end=min(parse_moment(text), now) if text else now,
        count=int(count),
        unit=unit,
        size=values["barSize"].strip(),
        show=values["whatToShow"].strip().upper(),
        epoch=values["formatDate"] == 2,
    )
    if query.show == "SCHEDULE":
        return query
    if query.size not in DAILY and query.size not in SIZES:
        raise Refused(
            321,
            "Error validating request.-'bP' : cause - Historical data bar size setting is invalid. "
            f"Legal ones are: {', '.join((*SIZES, *DAILY))}",
        )
    if query.show not in SHOWS:
        raise Refused(
            321, f"Error validating request.-'bP' : cause - Invalid whatToShow: {query.show}"
        )
    return query


def ordinals_of(market: Market, query: Query) -> tuple[int, int, int]:
    """Return (first ordinal, end ordinal, first moment) of the sessions that a query covers."""
    end = market.ordinals_before(new_york(query.end).date())
    if end and market.span(end - 1).open >= query.end:
        end -= 1
    if query.unit == "D":
        return max(end - query.count, 0), end, 0
    if query.unit == "S":
        first_moment = query.end - query.count * SECOND
        first_day = new_york(max(first_moment, 0)).date()
        return market.ordinals_before(first_day - timedelta(days=1)), end, first_moment
    last = new_york(query.end).date()
    first = _back(last, query.count, query.unit)
    return market.ordinals_before(first), end, 0


def _back(last: date, count: int, unit: str) -> date:
    try:
        if unit == "W":
            return last - timedelta(weeks=count)
        months = last.year * 12 + last.month - 1 - count * (12 if unit == "Y" else 1)
        year, month = divmod(months, 12)
        while True:
            try:
                return date(year, month + 1, last.day)
            except ValueError:
                if year < 1:
                    raise
                last -= timedelta(days=1)
    except (OverflowError, ValueError):
        return date(1900, 1, 1)
