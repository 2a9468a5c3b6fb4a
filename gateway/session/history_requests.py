"""Historical bars, schedules and head timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, message
from gateway.engine.refusal import Refused
from gateway.market.bars import Bar, daily_bars, grouped, intraday_bars
from gateway.market.market import Market
from gateway.market.universe import INSTRUMENTS
from gateway.session.connection import Connection
from gateway.session.contracts import one_column
from gateway.session.moments import parse_moment
from gateway.timeline import SECOND, new_york, to_micros
from models.domain.sessions import at_exchange_time

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]

SIZES = {
    **{"1 sec": 1, "5 secs": 5, "10 secs": 10, "15 secs": 15, "30 secs": 30},
    **{"1 min": 60, "2 mins": 120, "3 mins": 180, "5 mins": 300, "10 mins": 600},
    **{"15 mins": 900, "20 mins": 1200, "30 mins": 1800, "1 hour": 3600, "2 hours": 7200},
    **{"3 hours": 10800, "4 hours": 14400, "8 hours": 28800},
}
DAILY = {"1 day": "day", "1 week": "week", "1W": "week", "1 month": "month", "1M": "month"}
SHOWS = frozenset(("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"))
MOST_BARS = 400_000
STEPS = {"S": 1, "D": 0, "W": 7, "M": 30, "Y": 365}
NO_DATA = "Historical Market Data Service error message:HMDS query returned no data: {}@{} {}"


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


async def historical_data(hub: Hub, connection: Connection, values: Values) -> None:
    """Send bars (or the trading schedule), computed beside the order path."""
    query = _query(hub, values)
    market, request_id = hub.exchange.market, values["reqId"]
    if query.show == "SCHEDULE":
        connection.send(await hub.aside(lambda: _schedule(market, query, request_id)))
        return
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
    connection.send(await hub.aside(lambda: _history(market, query, request_id)))
    if values["keepUpToDate"]:
        connection.subscriptions.histories.add(request_id)


def _query(hub: Hub, values: Values) -> Query:
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
    return Query(
        column=one_column(values),
        end=min(parse_moment(text), hub.now) if text else hub.now,
        count=int(count),
        unit=unit,
        size=values["barSize"].strip(),
        show=values["whatToShow"].strip().upper(),
        epoch=values["formatDate"] == 2,
    )


def _ordinals(market: Market, query: Query) -> tuple[int, int, int]:
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


def _history(market: Market, query: Query, request_id: int) -> bytes:
    first, end, moment = _ordinals(market, query)
    bars = _bars(market, query, first, end)
    bars = [bar for bar in bars if bar.start >= moment] if moment else bars
    if not bars:
        symbol = INSTRUMENTS[query.column].symbol
        raise Refused(162, NO_DATA.format(symbol, "SMART", query.show.title()))
    start = market.span(first).open if first < end else query.end
    fields: list[Any] = [request_id, _stamp(start), _stamp(query.end), len(bars)]
    shift = {"BID": -0.005, "ASK": 0.005}.get(query.show, 0.0)
    quoted = query.show in {"MIDPOINT", "BID", "ASK", "BID_ASK"}
    for bar in bars:
        fields.append(_label(bar, query))
        prices = (bar.open, bar.high, bar.low, bar.close)
        fields += [round(price + shift, 6) for price in prices] if shift else prices
        wap = round((bar.high + bar.low + bar.close) / 3.0, 6)
        fields += (-1, -1, -1) if quoted else (bar.volume, wap, max(bar.volume // 150, 1))
    return message(Out.HISTORICAL_DATA, *fields)


def _bars(market: Market, query: Query, first: int, end: int) -> list[Bar]:
    if query.size in DAILY:
        bars = daily_bars(market, query.column, first, end, query.end)
        if DAILY[query.size] == "week":
            return grouped(bars, lambda day: day.isocalendar()[:2])
        if DAILY[query.size] == "month":
            return grouped(bars, lambda day: (day.year, day.month))
        return bars
    seconds = SIZES[query.size]
    if (end - first) * max(23_400 // seconds, 1) > MOST_BARS:
        raise Refused(162, "Historical Market Data Service error message:Time length exceed max.")
    return [
        bar
        for ordinal in range(first, end)
        for bar in intraday_bars(market, query.column, ordinal, query.end, seconds)
    ]


def _label(bar: Bar, query: Query) -> str:
    if query.size in DAILY:
        return f"{bar.day:%Y%m%d}"
    if query.epoch:
        return str(bar.start // SECOND)
    return f"{new_york(bar.start):%Y%m%d %H:%M:%S} US/Eastern"


def _stamp(micros: int) -> str:
    return f"{new_york(micros):%Y%m%d  %H:%M:%S}"


def _schedule(market: Market, query: Query, request_id: int) -> bytes:
    first, end, _ = _ordinals(market, query)
    if end <= first:
        raise Refused(162, NO_DATA.format(INSTRUMENTS[query.column].symbol, "SMART", "Schedule"))
    spans = [market.span(ordinal) for ordinal in range(first, end)]
    form = "%Y%m%d-%H:%M:%S"
    fields: list[Any] = [
        request_id,
        f"{new_york(spans[0].open):{form}}",
        f"{new_york(spans[-1].close):{form}}",
        "US/Eastern",
        len(spans),
    ]
    for span in spans:
        opened, closed = new_york(span.open), new_york(span.close)
        fields += [f"{opened:{form}}", f"{closed:{form}}", f"{span.date:%Y%m%d}"]
    return message(Out.HISTORICAL_SCHEDULE, *fields)


def cancel_historical_data(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop updating bars."""
    connection.subscriptions.histories.discard(values["reqId"])


def head_timestamp(hub: Hub, connection: Connection, values: Values) -> None:
    """Send when the history of an instrument begins."""
    one_column(values)
    first = at_exchange_time(hub.exchange.market.closes.dates[0], 9, 30)
    text = str(to_micros(first) // SECOND)
    if values["formatDate"] != 2:
        text = f"{first:%Y%m%d-%H:%M:%S}"
    connection.send(message(Out.HEAD_TIMESTAMP, values["reqId"], text))


def historical_ticks(hub: Hub, connection: Connection, values: Values) -> None:
    """Decline tick history: only bars are kept."""
    one_column(values)
    raise Refused(162, "Historical Market Data Service error message:No historical ticks are kept.")


HANDLERS = {
    "reqHistoricalData": historical_data,
    "cancelHistoricalData": cancel_historical_data,
    "reqHeadTimestamp": head_timestamp,
    "reqHistoricalTicks": historical_ticks,
}
