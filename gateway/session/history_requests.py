"""Historical bars, schedules and head timestamps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.codec.messages import Out, message
from gateway.engine.refusal import Refused
from gateway.market.bars import (
    Bar,
    daily_bars,
    grouped,
    intraday_bars,
    outside_bars,
    outside_days,
)
from gateway.market.market import Market
from gateway.market.quoted import QUOTED, quoted_bars
from gateway.market.universe import INSTRUMENTS
from gateway.market.view import trading_span
from gateway.session.connection import Connection
from gateway.session.contracts import one_column
from gateway.session.history_query import (
    DAILY,
    SERVED,
    SIZES,
    VOLATILITIES,
    Query,
    check_format,
    ordinals_of,
    quoted_day,
    read_query,
)
from gateway.session.subscriptions import LiveBars
from gateway.timeline import SECOND, from_micros, new_york, to_micros

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
MOST_BARS = 400_000
WINDOW = 30  # sessions of realised volatility
YEAR = 252
CANCELLED = "Historical Market Data Service error message:API historical data query cancelled: {}"
NO_DATA = "Historical Market Data Service error message:HMDS query returned no data: {}@{} {}"


async def historical_data(hub: Hub, connection: Connection, values: Values) -> None:
    """Send bars (or the trading schedule), computed beside the order path."""
    query = read_query(values, hub.now)
    market, request_id = hub.exchange.market, values["reqId"]
    if query.show == "SCHEDULE":
        connection.send(await hub.aside(lambda: _schedule(market, query, request_id)))
        return
    under_way = connection.subscriptions.histories_under_way
    under_way.add(request_id)
    try:
        data, last = await hub.aside(lambda: _history(market, query, request_id))
        if request_id not in under_way:
            return  # cancelled meanwhile
    finally:
        under_way.discard(request_id)
    connection.send(data)
    if values["keepUpToDate"]:
        connection.subscriptions.histories[request_id] = LiveBars(query, last)


def _history(market: Market, query: Query, request_id: int) -> tuple[bytes, Bar]:
    """Return the historicalData message and the last of its bars."""
    first, end, moment = ordinals_of(market, query)
    bars = _bars(market, query, first, end)
    if moment and query.size in DAILY:
        bars = [bar for bar in bars if bar.day >= new_york(moment).date()]
    elif moment:
        bars = [bar for bar in bars if bar.start >= moment]
    if not bars:
        symbol = INSTRUMENTS[query.column].symbol
        raise Refused(162, NO_DATA.format(symbol, "SMART", query.show.title()))
    start = moment or (query.hours(market, first).open if first < end else query.end)
    fields: list[Any] = [request_id, _stamp(start), _stamp(query.end), len(bars)]
    for bar in bars:
        fields += [_label(bar, query), bar.open, bar.high, bar.low, bar.close]
        fields += _traded(bar, query)
    return message(Out.HISTORICAL_DATA, *fields), bars[-1]


def _traded(bar: Bar, query: Query) -> tuple[float, float, float]:
    """Return volume, average price and count, which only trades have."""
    if query.show not in {"TRADES", "ADJUSTED_LAST"}:
        return -1, -1, -1
    return bar.volume, _average(bar), max(bar.volume // 150, 1 if bar.volume else 0)


def _volatility_bars(market: Market, query: Query, first: int, end: int) -> list[Bar]:
    """Return daily bars of the yearly volatility: of 30 sessions, or the present one (implied)."""
    if query.show == "OPTION_IMPLIED_VOLATILITY":
        values = market.closes.vols(query.column, first, end)
    else:
        before = max(first - WINDOW, 0)
        steps = np.diff(np.log(market.closes.column(query.column, before, end)))
        last = range(first - before, end - before)
        parts = [steps[max(place - WINDOW, 0) : place] for place in last]
        values = np.array([part.std() if len(part) > 1 else 0.0 for part in parts])
    values = np.round(values * YEAR**0.5, 6)
    days = market.closes.dates[first:end]
    return [
        Bar(0, day, value, value, value, value, 0)
        for day, value in zip(days, values.tolist(), strict=True)
    ]


def _bars(market: Market, query: Query, first: int, end: int) -> list[Bar]:
    if query.show in VOLATILITIES:
        return _volatility_bars(market, query, first, end)
    if query.size in DAILY:
        days_of = outside_days if query.outside else daily_bars
        instrument = INSTRUMENTS[query.column]
        bars = days_of(market, query.column, first, end, query.end)
        if DAILY[query.size] == "week":
            bars = grouped(bars, lambda day: day.isocalendar()[:2])
        elif DAILY[query.size] == "month":
            bars = grouped(bars, lambda day: (day.year, day.month))
        return [quoted_day(bar, query.show, instrument) for bar in bars]
    seconds = SIZES[query.size]
    length = 85_500 if query.column_is_forex else 57_600 if query.outside else 23_400
    bars_of = outside_bars if query.outside else intraday_bars
    if (end - first) * max(length // seconds, 1) > MOST_BARS:
        raise Refused(162, "Historical Market Data Service error message:Time length exceed max.")
    if query.show in QUOTED:
        column, show = query.column, query.show
        return [
            bar
            for ordinal in range(first, end)
            for bar in quoted_bars(
                *(market, column, query.stretches(market, ordinal), query.end),
                seconds=seconds,
                show=show,
            )
        ]
    return [
        bar
        for ordinal in range(first, end)
        for bar in bars_of(market, query.column, ordinal, query.end, seconds)
    ]


def _label(bar: Bar, query: Query) -> str:
    if query.size in DAILY:
        return f"{bar.day:%Y%m%d}"
    if query.epoch:
        return str(bar.start // SECOND)
    return _stamp(bar.start)


def _stamp(micros: int) -> str:
    return f"{new_york(micros):%Y%m%d %H:%M:%S} US/Eastern"


def _schedule(market: Market, query: Query, request_id: int) -> bytes:
    first, end, _ = ordinals_of(market, query)
    if end <= first:
        raise Refused(162, NO_DATA.format(INSTRUMENTS[query.column].symbol, "SMART", "Schedule"))
    spans = [query.hours(market, ordinal) for ordinal in range(first, end)]
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


def tell_bars(hub: Hub, connection: Connection) -> None:
    """Send the running session's newest bars to those who keep a history up to date."""
    exchange = hub.exchange
    for request_id, live in connection.subscriptions.histories.items():
        query = live.query
        span = trading_span(exchange.market, query.column, hub.now, query.outside)
        if span is None:
            continue
        ordinal = exchange.market.closes.ordinal(span.date)
        bars = _bars(exchange.market, replace(live.query, end=hub.now), ordinal, ordinal + 1)
        fresh = [bar for bar in bars if (bar.day, bar.start) >= (live.last.day, live.last.start)]
        for bar in fresh:
            if bar != live.last:
                live.last = bar
                volume, average, count = _traded(bar, live.query)
                cells = (bar.open, bar.close, bar.high, bar.low, average, volume)
                label = _label(bar, live.query)
                connection.send(message(Out.HISTORICAL_UPDATE, request_id, count, label, *cells))


def _average(bar: Bar) -> float:
    return round((bar.high + bar.low + bar.close) / 3.0, 6)


def cancel_historical_data(hub: Hub, connection: Connection, values: Values) -> None:
    """Stop updating bars; an unknown id is told so (366), the end of a known one too (162)."""
    request_id = values["reqId"]
    subscriptions = connection.subscriptions
    is_under_way = request_id in subscriptions.histories_under_way
    subscriptions.histories_under_way.discard(request_id)
    if subscriptions.histories.pop(request_id, None) is None and not is_under_way:
        raise Refused(366, f"No historical data query found for ticker id:{request_id}")
    connection.error(request_id, 162, CANCELLED.format(request_id))


def head_timestamp(hub: Hub, connection: Connection, values: Values) -> None:
    """Send when the history of an instrument begins."""
    column, show = one_column(values), values["whatToShow"].strip().upper()
    instrument = INSTRUMENTS[column]
    check_format(values)
    if show not in SERVED[instrument.sec_type]:
        raise Refused(
            162,
            "Historical Market Data Service error message:No head time stamp for "
            f"{instrument.symbol}/{instrument.sec_type} {show}",
        )
    first = from_micros(hub.exchange.market.hours(column, 0).open)
    text = str(to_micros(first) // SECOND)
    if values["formatDate"] != 2:
        text = f"{first:%Y%m%d-%H:%M:%S}"
    connection.send(message(Out.HEAD_TIMESTAMP, values["reqId"], text))


HANDLERS = {
    "reqHistoricalData": historical_data,
    "cancelHistoricalData": cancel_historical_data,
    "reqHeadTimestamp": head_timestamp,
}
