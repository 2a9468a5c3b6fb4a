"""Rows of one-minute bars before they are merged: checked, dated, sorted, without the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.sessions import EXCHANGE_TZ, calendar_bounds, session_dates
from warehouse.market.staging import ArrowTable, arrow

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

PRICES = ("open", "high", "low", "close")
COLUMNS = ("symbol", "ts", *PRICES, "volume")
MINUTE = 60_000_000  # microseconds
EPOCH = date(1970, 1, 1)
OPEN, CLOSED, UNKNOWN = 0, 1, 2
LARGEST_PRICE = 10_000_000.0  # USD; beyond it a column is most likely not a price
MOST_SHARES = 2.0**53  # that float64 counts one by one
BEYOND = "the exchange's calendar does not reach to its date (about a year ahead): is it right?"
REASONS = (
    "a value is missing",
    "a price is not finite and above zero",
    "a price is not below 1e7 USD",
    "the high or the low does not enclose the other prices",
    "the volume is below zero or not whole",
    "the start is not on a whole minute",
    BEYOND,
    "New York has no session on its date",
    "another row has the same symbol and start",
)


@dataclass(frozen=True, slots=True)
class SiftedMinutes:
    """What of a frame can be merged, and what cannot.

    `rows` is an Arrow table sorted by symbol and ts (naive UTC) with the session's date;
    `rejected` holds the given rows that are no bars, and `reasons` why, row by row. Of rows that
    share a symbol and a start none is taken, unless they are alike in all they say.
    """

    rows: ArrowTable
    rejected: pd.DataFrame
    reasons: tuple[str, ...]


def sift_minutes(frame: pd.DataFrame) -> SiftedMinutes:
    """Separate the bars of a frame (symbol, ts timezone-aware, prices in USD, volume in shares).

    Raises InvalidInput for missing columns, a ts without a timezone, or values of another kind.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidInput(
            f"the bars lack {', '.join(missing)}; give the columns {', '.join(COLUMNS)}"
        )
    table = _table(frame)
    moments = table.column("ts").to_numpy().astype("datetime64[us]").astype(np.int64)
    absent = _absent(table)
    codes = _codes(table.column("symbol"))
    days, kind = _sessions(np.where(absent, 0, moments))
    why = _verdicts(table, moments, absent, kind)
    order = _order(codes, moments)
    table = table.append_column("session", arrow().array(days, type=arrow().date32()))
    if order is not None:
        table, codes, moments, why = table.take(order), codes[order], moments[order], why[order]
    keep = _mark_repeats(table, codes, moments, why)
    if bool((why == 0).all()) and bool(keep.all()):
        return SiftedMinutes(_whole_volumes(table), frame.iloc[:0], ())
    bad = np.flatnonzero(why != 0)
    places = bad if order is None else order[bad]
    numbers = cast("list[int]", why[bad].tolist())
    reasons = tuple(REASONS[number - 1] for number in numbers)
    good = table.filter(arrow().array((why == 0) & keep))
    return SiftedMinutes(_whole_volumes(good), frame.iloc[places], reasons)


def minute_frame(rows: ArrowTable) -> pd.DataFrame:
    """Return the `rows` of a SiftedMinutes in COLUMNS, symbols categorical, ts in UTC."""
    frame: pd.DataFrame = rows.select(list(COLUMNS)).to_pandas(strings_to_categorical=True)
    return frame.assign(ts=frame["ts"].dt.tz_localize("UTC"))


def without_rows(rows: ArrowTable, places: Sequence[int]) -> ArrowTable:
    """Return an Arrow table without the rows at `places`, in the same order."""
    if not places:
        return rows
    keep = np.ones(rows.num_rows, dtype=np.bool_)
    keep[list(places)] = False
    return rows.filter(arrow().array(keep))


def _whole_volumes(table: ArrowTable) -> ArrowTable:
    place = table.schema.get_field_index("volume")
    whole = table.column(place).cast(arrow().int64())
    return table.set_column(place, "volume", whole)


def _table(frame: pd.DataFrame) -> ArrowTable:
    pa = arrow()
    if getattr(frame["ts"].dtype, "tz", None) is None:
        raise InvalidInput("the bars' ts has no timezone; give it as UTC moments")
    kinds: list[tuple[str, Any]] = [("symbol", pa.string()), ("ts", pa.timestamp("us"))]
    kinds += [(name, pa.float64()) for name in (*PRICES, "volume")]
    rows = frame.loc[:, list(COLUMNS)].assign(ts=frame["ts"].dt.tz_convert(None))
    try:
        return pa.Table.from_pandas(rows, schema=pa.schema(kinds), preserve_index=False, safe=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidInput(
            f"the bars hold a value of the wrong kind ({error}); give text symbols, "
            "timezone-aware starts, float prices and whole volumes"
        ) from error


def _absent(table: ArrowTable) -> NDArray[np.bool_]:
    absent = np.zeros(table.num_rows, dtype=np.bool_)
    for name in COLUMNS:
        column = table.column(name)
        if column.null_count:
            absent |= column.is_null().to_numpy()
    return absent


def _codes(symbols: Any) -> NDArray[np.int64]:
    """Number the symbols in their order, missing ones first."""
    coded = symbols.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    rank = np.empty(len(names) + 1, dtype=np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(1, len(names) + 1)
    rank[-1] = 0
    return rank[coded.indices.fill_null(len(names)).to_numpy().astype(np.int64)]


def _sessions(moments: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Return the New York date of each moment in days since 1970, and what kind of day it is.

    OPEN is a session, CLOSED is none, UNKNOWN lies outside the published calendar.
    """
    if not len(moments):
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int8)
    first = datetime.fromtimestamp(int(moments.min()) // 1_000_000, UTC).date() - timedelta(1)
    last = datetime.fromtimestamp(int(moments.max()) // 1_000_000, UTC).date() + timedelta(1)
    count = (last - first).days + 1
    dates = [first + timedelta(number) for number in range(count)]
    midnights = np.array(
        [int(datetime(d.year, d.month, d.day, tzinfo=EXCHANGE_TZ).timestamp()) for d in dates]
    )
    place = np.searchsorted(midnights * 1_000_000, moments, side="right") - 1
    begin, end = calendar_bounds()
    begin, end = max(first, begin), min(last, end)
    open_days = set(session_dates(begin, end)) if begin <= end else set[date]()
    kinds = [
        (OPEN if day in open_days else CLOSED) if begin <= day <= end else UNKNOWN for day in dates
    ]
    return ((first - EPOCH).days + place).astype(np.int32), np.array(kinds, dtype=np.int8)[place]


def _verdicts(
    table: ArrowTable,
    moments: NDArray[np.int64],
    absent: NDArray[np.bool_],
    kind: NDArray[np.int8],
) -> NDArray[np.int8]:
    """Return 0 for a row that can be a bar, or the number of its first reason."""
    opened, high, low, close, volume = (
        cast("NDArray[np.float64]", table.column(name).to_numpy()) for name in (*PRICES, "volume")
    )
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    sane = np.isfinite(high) & np.isfinite(low) & np.isfinite(top) & (bottom > 0) & (low > 0)
    why = np.zeros(table.num_rows, dtype=np.int8)
    tests = (
        absent,
        ~sane,
        np.maximum(top, high) > LARGEST_PRICE,
        (high < top) | (low > bottom),
        ~((volume >= 0) & (volume == np.floor(volume)) & (volume < MOST_SHARES)),
        moments % MINUTE != 0,
        kind == UNKNOWN,
        kind == CLOSED,
    )
    for number in range(len(tests), 0, -1):
        why[tests[number - 1]] = number
    return why


def _order(codes: NDArray[np.int64], moments: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return what sorts by symbol and start, or None when the rows are sorted."""
    if len(codes) < 2:
        return None
    step, later = np.diff(codes), np.diff(moments) >= 0
    if bool(np.all((step > 0) | ((step == 0) & later))):
        return None
    return np.lexsort((moments, codes))


def _mark_repeats(
    table: ArrowTable, codes: NDArray[np.int64], moments: NDArray[np.int64], why: NDArray[np.int8]
) -> NDArray[np.bool_]:
    """Give rows that contradict each other their reason; return which to keep of equal ones."""
    keep = np.ones(len(codes), dtype=np.bool_)
    good = np.flatnonzero(why == 0)
    codes, moments = codes[good], moments[good]
    starts = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(moments, prepend=-1) != 0))
    if len(starts) == len(good):
        return keep
    differs = np.zeros(len(starts), dtype=np.bool_)
    for name in (*PRICES, "volume"):
        values = table.column(name).to_numpy()[good]
        differs |= np.maximum.reduceat(values, starts) != np.minimum.reduceat(values, starts)
    counts = np.diff(starts, append=len(good))
    keep[good] = False
    keep[good[starts]] = True
    why[good[np.repeat(differs, counts)]] = len(REASONS)
    return keep
