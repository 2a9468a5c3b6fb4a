"""What a history request means: which sessions, which bars, up to when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import ceil, floor
from typing import Any

from gateway.engine.refusal import Refused
from gateway.market.bars import Bar
from gateway.market.market import Market
from gateway.market.universe import INSTRUMENTS, Instrument
from gateway.session.contracts import one_column
from gateway.session.moments import parse_moment
from gateway.timeline import SECOND, Span, extended_span, new_york, stretches

Values = dict[str, Any]

SIZES = {
    **{"1 secs": 1, "1 sec": 1, "5 secs": 5, "10 secs": 10, "15 secs": 15, "30 secs": 30},
    **{"1 min": 60, "2 mins": 120, "3 mins": 180, "5 mins": 300, "10 mins": 600},
    **{"15 mins": 900, "20 mins": 1200, "30 mins": 1800, "1 hour": 3600, "2 hours": 7200},
    **{"3 hours": 10800, "4 hours": 14400, "8 hours": 28800},
}
DAILY = {"1 day": "day", "1 week": "week", "1W": "week", "1 month": "month", "1M": "month"}
SHOWS = frozenset(("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"))
VOLATILITIES = frozenset(("HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY"))
YIELDS = ("YIELD_BID", "YIELD_ASK", "YIELD_BID_ASK", "YIELD_LAST")
UNSERVED = frozenset(("FEE_RATE", "REBATE_RATE", "AGGTRADES", *YIELDS))
SERVED = {
    "STK": SHOWS | VOLATILITIES,
    "IND": frozenset(("TRADES", *VOLATILITIES)),
    "CASH": frozenset(("MIDPOINT", "BID", "ASK", "BID_ASK")),
}
LIVE = frozenset(("TRADES", "MIDPOINT", "BID", "ASK"))
LONGEST_SECONDS = {1: 2000, 5: 7200, 10: 14_400, 15: 14_400, 30: 28_800}
SPREAD_BPS = 1.4
STEPS = {"S": 1, "D": 0, "W": 7, "M": 30, "Y": 365}


@dataclass(frozen=True, slots=True)
class Query:
    """One history request, understood. `end` is microseconds; `count` and `unit` its duration.

    `outside` asks for pre- and after-market bars too, which only stocks have.
    """

    column: int
    end: int
    count: int
    unit: str
    size: str
    show: str
    epoch: bool
    outside: bool = False

    @property
    def column_is_forex(self) -> bool:
        """Say whether the next day's trading begins the evening before."""
        return INSTRUMENTS[self.column].sec_type == "CASH"

    def stretches(self, market: Market, ordinal: int) -> tuple[Span, ...]:
        """Return the stretches of trading that are asked for of a session, in order."""
        if self.outside:
            return stretches(market.closes.dates[ordinal])
        return (market.hours(self.column, ordinal),)

    def hours(self, market: Market, ordinal: int) -> Span:
        """Return the hours that are asked for of a session."""
        if self.outside:
            return extended_span(market.closes.dates[ordinal])
        return market.hours(self.column, ordinal)


def read_query(values: Values, now: int) -> Query:
    """Understand a reqHistoricalData; raise Refused for what cannot be meant."""
    text = values["endDateTime"].strip()
    show = values["whatToShow"].strip().upper()
    if text and values["keepUpToDate"]:
        raise _invalid("End date not supported with keepUpToDate")
    if text and show == "ADJUSTED_LAST":
        raise _invalid("End date not supported with adjusted last")
    count, _, unit = values["duration"].strip().partition(" ")
    if not count.isdigit() or not 1 <= int(count) <= 10**6 or unit not in STEPS:
        raise _invalid(
            "Historical data query duration is invalid: "
            "use a number, a space and one of S, D, W, M, Y"
        )
    if unit == "S" and int(count) > 86_400:
        raise _invalid(
            "Historical data requests for durations longer than 86400 seconds must be made in days."
        )
    if unit == "D" and int(count) > 365:
        raise _invalid(
            "Historical data requests for durations longer than 365 days must be made in years."
        )
    check_format(values)
    column = one_column(values)
    query = Query(
        column=column,
        end=min(parse_moment(text), now) if text else now,
        count=int(count),
        unit=unit,
        size=values["barSize"].strip(),
        show=show,
        epoch=values["formatDate"] == 2,
        outside=not values["useRTH"] and INSTRUMENTS[column].sec_type == "STK",
    )
    if query.show != "SCHEDULE":
        _check(query, values["keepUpToDate"])
    return query


def check_format(values: Values) -> None:
    """Refuse a formatDate that is neither 1 (text) nor 2 (seconds since 1970)."""
    if values["formatDate"] not in {1, 2}:
        raise _invalid(f"Invalid formatDate {values['formatDate']}: 1 (text) or 2 (seconds)")


def _check(query: Query, live: bool) -> None:
    """Refuse sizes and kinds of data that do not exist, or not for this instrument."""
    if query.size not in DAILY and query.size not in SIZES:
        raise _invalid(
            "Historical data bar size setting is invalid. "
            f"Legal ones are: {', '.join((*SIZES, *DAILY))}"
        )
    if query.show not in SHOWS | VOLATILITIES | UNSERVED:
        raise _invalid(f"Invalid whatToShow: {query.show}")
    instrument = INSTRUMENTS[query.column]
    kind = instrument.sec_type
    nothing = (
        "Historical Market Data Service error message:No historical market data for "
        f"{instrument.symbol}/{kind}@{instrument.primary} {query.show} {query.size}"
    )
    if query.show not in SERVED[kind]:
        raise Refused(162, nothing)
    if query.show in VOLATILITIES and query.size not in DAILY:
        raise Refused(162, nothing)
    if live and (query.show not in LIVE or SIZES.get(query.size, 60) < 5):
        raise _invalid("keepUpToDate is only supported for bars of 5 seconds and more of prices")
    seconds = SIZES.get(query.size, 0)
    if query.unit == "S" and query.count > LONGEST_SECONDS.get(seconds, 86_400):
        raise Refused(162, "Historical Market Data Service error message:Time length exceed max.")


def _invalid(cause: str) -> Refused:
    return Refused(321, f"Error validating request.-'bP' : cause - {cause}")


def quoted_day(bar: Bar, show: str, instrument: Instrument) -> Bar:
    """Return a bar of a day as bids, offers or both: the usual spread apart, out to the tick.

    BID_ASK is the average bid, the highest ask, the lowest bid and the average ask.
    """
    if show not in {"BID", "ASK", "BID_ASK"}:
        return bar
    tick = float(instrument.tick)
    half = max(round(bar.close * SPREAD_BPS * 1e-4 / tick), 1) / 2.0

    def bid(price: float) -> float:
        ticks = floor(round(price / tick - half, 6))
        return round(max(ticks, 1) * tick, instrument.digits)

    def ask(price: float) -> float:
        return round(ceil(round(price / tick + half, 6)) * tick, instrument.digits)

    if show == "BID_ASK":
        middle = (bar.open + bar.close) / 2.0
        cells = bid(middle), ask(bar.high), bid(bar.low), ask(middle)
    else:
        side = bid if show == "BID" else ask
        cells = side(bar.open), side(bar.high), side(bar.low), side(bar.close)
    opened, high, low, close = cells
    return replace(bar, open=opened, high=high, low=low, close=close)


def ordinals_of(market: Market, query: Query) -> tuple[int, int, int]:
    """Return (first ordinal, end ordinal, first moment) of the sessions that a query covers."""
    end = market.ordinals_before(new_york(query.end).date())
    if query.column_is_forex and end < len(market.closes.dates):
        end += 1
    while end and query.hours(market, end - 1).open >= query.end:
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
