"""Bars of any size from the minute and second paths, client impact included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from gateway.market.market import Market
from gateway.market.seconds import SecondPath
from gateway.timeline import SECOND, Span, extended_span, new_york, stretches

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINUTE = 60
Group = Callable[["NDArray[np.int64]"], "NDArray[np.int64]"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: start (microseconds), USD prices, shares. `day` is the session it belongs to."""

    start: int
    day: date
    open: float
    high: float
    low: float
    close: float
    volume: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Small bars of one session: seconds since the open at which each begins, then its figures."""

    start: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]


def daily_bars(market: Market, column: int, first: int, end: int, until: int) -> list[Bar]:
    """Return daily bars of ordinals [first, end) as known at `until`; the last may be partial."""
    if end <= first:
        return []
    whole = end
    while whole > first and _is_touched(market, column, whole - 1, until):
        whole -= 1
    bars: list[Bar] = []
    if whole > first:
        rows = market.days(column, first, whole)
        columns = (rows.open, rows.high, rows.low, rows.close, rows.volume)
        cells = zip(*(values.tolist() for values in columns), strict=True)
        days = market.closes.dates[first:whole]
        bars = [Bar(0, day, *cell) for day, cell in zip(days, cells, strict=True)]
    for ordinal in range(whole, end):
        bars += _merge(market, column, ordinal, until, (np.zeros_like, MINUTE))
    return bars


def _is_touched(market: Market, column: int, ordinal: int, until: int) -> bool:
    close, impact = market.hours(column, ordinal).close, market.impact[column].at
    return close > until or bool(impact and impact[0] <= close)


def intraday_bars(market: Market, column: int, ordinal: int, until: int, seconds: int) -> list[Bar]:
    """Return one session's bars of `seconds` each, aligned to the clock, up to `until`."""
    grain = MINUTE if seconds % MINUTE == 0 else 1
    group = clock_groups(market.hours(column, ordinal), seconds)
    return _merge(market, column, ordinal, until, (group, grain))


def clock_groups(span: Span, seconds: int) -> Group:
    """Return what numbers the bars of `seconds` by the clock in New York."""
    opened = new_york(span.open)
    offset = (opened.hour * 60 + opened.minute) * 60
    return lambda start: (start + offset) // seconds


def outside_bars(market: Market, column: int, ordinal: int, until: int, seconds: int) -> list[Bar]:
    """Return a stock's bars of a day with pre- and after-market, aligned to the clock."""
    wide = extended_span(market.closes.dates[ordinal])
    parts: list[Rows] = []
    for span in stretches(wide.date):
        if span == market.span(ordinal):
            grain = MINUTE if seconds % MINUTE == 0 else 1
            rows = _session_rows(market, column, ordinal, until, grain)
        else:
            rows = _stretch_rows(market, column, ordinal, span, until)
        parts.append(replace(rows, start=rows.start + (span.open - wide.open) // SECOND))
    return merge_rows(concatenated(parts), wide, clock_groups(wide, seconds))


def outside_days(market: Market, column: int, first: int, end: int, until: int) -> list[Bar]:
    """Return a stock's daily bars of ordinals [first, end), pre- and after-market included."""
    days = [outside_bars(market, column, o, until, 24 * 60 * MINUTE) for o in range(first, end)]
    return [replace(bar, start=0) for day in days for bar in day]


def _stretch_rows(market: Market, column: int, ordinal: int, span: Span, until: int) -> Rows:
    """Return the seconds of pre- or after-market trading up to `until`."""
    path, digits = market.path_in(column, span), market.digits(column, ordinal)
    rows = _second_rows(path, 0, span.second(until), digits)
    return _with_impact(market, column, span, rows, digits)


def _second_rows(path: SecondPath, first: int, end: int, digits: int) -> Rows:
    """Return seconds [first, end) of a path as bars."""
    start = np.arange(first, end, dtype=np.int64)
    mids = np.round(path.mid[first : end + 1], digits)
    before, after = mids[:-1], mids[1:]
    highs, lows = np.maximum(before, after), np.minimum(before, after)
    return Rows(start, before, highs, lows, after, path.volume[start + 1])


def concatenated(parts: list[Rows]) -> Rows:
    """Return the small bars of several stretches as one list."""
    columns = ([getattr(part, f.name) for part in parts] for f in fields(Rows))
    return Rows(*(np.concatenate(values) for values in columns))


def grouped(bars: list[Bar], key: Callable[[date], object]) -> list[Bar]:
    """Merge daily bars whose dates share a key (a week, a month); the last day names the bar."""
    merged: list[Bar] = []
    for bar in bars:
        if merged and key(merged[-1].day) == key(bar.day):
            old = merged[-1]
            merged[-1] = Bar(
                old.start,
                bar.day,
                old.open,
                max(old.high, bar.high),
                min(old.low, bar.low),
                bar.close,
                old.volume + bar.volume,
            )
        else:
            merged.append(bar)
    return merged


def _merge(
    market: Market,
    column: int,
    ordinal: int,
    until: int,
    grouping: tuple[Group, int],
) -> list[Bar]:
    group, grain = grouping
    rows = _session_rows(market, column, ordinal, until, grain)
    return merge_rows(rows, market.hours(column, ordinal), group)


def merge_rows(rows: Rows, span: Span, group: Group) -> list[Bar]:
    """Return the bars that small ones make; their starts count from the opening of `span`."""
    if not len(rows.start):
        return []
    keys = group(rows.start)
    first = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    last = np.append(first[1:], len(keys)) - 1
    cells = zip(
        rows.start[first].tolist(),
        rows.open[first].tolist(),
        np.maximum.reduceat(rows.high, first).tolist(),
        np.minimum.reduceat(rows.low, first).tolist(),
        rows.close[last].tolist(),
        np.add.reduceat(rows.volume, first).tolist(),
        strict=True,
    )
    return [Bar(span.open + start * SECOND, span.date, *cell) for start, *cell in cells]


def _session_rows(market: Market, column: int, ordinal: int, until: int, grain: int) -> Rows:
    span, digits = market.hours(column, ordinal), market.digits(column, ordinal)
    done = span.second(until)
    minutes = done // MINUTE if grain == MINUTE else 0
    matrix, volumes, _ = market.minutes(column, ordinal)
    points = matrix.points[0]
    whole = Rows(
        np.arange(minutes, dtype=np.int64) * MINUTE,
        matrix.opens[0, :minutes],
        matrix.high[0, :minutes],
        matrix.low[0, :minutes],
        points[1 : minutes + 1],
        volumes[:minutes],
    )
    if minutes * MINUTE < done:
        path = market.path(column, ordinal)
        whole = concatenated([whole, _second_rows(path, minutes * MINUTE, done, digits)])
    return _with_impact(market, column, span, whole, digits)


def _with_impact(market: Market, column: int, span: Span, rows: Rows, digits: int) -> Rows:
    impact = market.impact[column]
    if not impact.at or not len(rows.start):
        return rows
    offsets = np.concatenate(([0.0], impact.offset))
    moments = np.array(impact.at)
    ends = np.append(rows.start[1:], rows.start[-1] + 1)
    scale = np.exp(offsets[np.searchsorted(moments, span.open + ends * SECOND, side="right")])
    opening = np.exp(offsets[np.searchsorted(moments, span.open + rows.start * SECOND, "right")])
    opened = np.round(rows.open * opening, digits)
    close = np.round(rows.close * scale, digits)
    ends_high, ends_low = np.maximum(opened, close), np.minimum(opened, close)
    return Rows(
        rows.start,
        opened,
        np.maximum(np.round(rows.high * scale, digits), ends_high),
        np.minimum(np.round(rows.low * scale, digits), ends_low),
        close,
        rows.volume,
    )


def second_bar(market: Market, column: int, span: Span, first: int, end: int) -> Bar:
    """Return the bar over seconds [first, end) of a session, client impact included."""
    ordinal = market.closes.ordinal(span.date)
    path, digits = market.path_in(column, span), market.digits(column, ordinal)
    mids = np.round(path.mid[first : end + 1], digits)
    rows = Rows(
        np.array([first], dtype=np.int64),
        mids[:1],
        mids.max(keepdims=True),
        mids.min(keepdims=True),
        mids[-1:],
        path.volume[first + 1 : end + 1].sum(keepdims=True),
    )
    rows = _with_impact(market, column, span, rows, digits)
    cells = (rows.open, rows.high, rows.low, rows.close, rows.volume)
    opened, high, low, close, volume = (values[0].item() for values in cells)
    return Bar(span.open + first * SECOND, span.date, opened, high, low, close, volume)
