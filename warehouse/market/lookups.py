"""The last complete one-minute bar before each of many moments: an as-of join.

The bars' keys (number of the symbol, minute) come out of the file as whole numbers in nearly sorted
order, and each moment is found among them by bisection. DuckDB's own ASOF JOIN sorts every bar by
its symbol's text each time, which takes several times as long.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from models.domain.errors import InvalidInput
from warehouse.market.as_of import VersionedTable
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.staging import arrow, fetch_table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MINUTES = VersionedTable(
    "bars_minute", ("symbol", "ts"), ("session", "open", "high", "low", "close", "volume")
)
FIGURES = ("open", "high", "low", "close", "volume")
MINUTE = 60_000_000  # microseconds
BITS = 32  # of a key: minutes since 1970 fill 25

_BARS = """
SELECT (wanted.number << 32) | (epoch_us(ts) // 60000000) AS key, {figure} AS figure
FROM ({bars}) JOIN wanted USING (symbol)
WHERE ts BETWEEN make_timestamp($first) AND make_timestamp($last)
"""


def last_complete(
    store: MarketStore,
    moments: pd.DataFrame,
    figure: str = "close",
    days: int = 7,
    as_of: datetime | None = None,
) -> pd.DataFrame:
    """Return `moments` (symbol, at timezone-aware) with ts and one figure of the last bar before.

    A bar counts once its minute has ended, so nothing of the future is seen. ts is its start; both
    are empty where the symbol has no bar within `days` calendar days before. Rows stay in order.
    `as_of` (UTC; None: now) takes the bars as they were known then. Raises InvalidInput for another
    figure, missing columns or symbols, or a moment without a timezone.
    """
    _require(moments, figure)
    pa = arrow()
    named = pa.Table.from_pandas(moments.loc[:, ["symbol"]], preserve_index=False)
    coded = named.column(0).cast(pa.string()).combine_chunks().dictionary_encode()
    at = moments["at"].dt.tz_convert("UTC").dt.tz_localize(None)
    ends = at.to_numpy().astype("datetime64[us]").astype(np.int64)
    result = moments.loc[:, ["symbol", "at"]].copy()
    keys = np.empty(0, dtype=np.int64)
    values = np.empty(0)
    wanted = coded.indices.to_numpy().astype(np.int64) << BITS
    if len(ends):
        names = coded.dictionary
        numbered = pa.table({"symbol": names, "number": pa.array(range(len(names)), pa.int64())})
        bounds: dict[str, object] = {
            "first": int(ends.min()) - (days + 1) * 1440 * MINUTE,
            "last": int(ends.max()),
        }
        if as_of is not None:
            bounds["as_of"] = utc_naive(as_of)
        query = _BARS.format(figure=figure, bars=MINUTES.known(as_of))
        with store.read() as connection:
            connection.register("wanted", numbered)
            found = fetch_table(connection, query, bounds)
        keys, values = _sorted(found)
    wanted |= np.maximum(ends // MINUTE - 1, 0)
    place = _before(keys, wanted)
    rows = np.flatnonzero(place >= 0)
    seen = keys[place[rows]]
    near = (seen >> BITS == wanted[rows] >> BITS) & (wanted[rows] - seen <= days * 1440)
    rows, seen = rows[near], seen[near]
    starts = np.full(len(ends), np.datetime64("NaT"), dtype="datetime64[us]")
    starts[rows] = ((seen & ((1 << BITS) - 1)) * MINUTE).view("datetime64[us]")
    figures = np.full(len(ends), np.nan)
    figures[rows] = values[place[rows]]
    result["ts"] = starts
    result["ts"] = result["ts"].dt.tz_localize("UTC")
    result[figure] = figures
    return result


def _require(moments: pd.DataFrame, figure: str) -> None:
    if figure not in FIGURES:
        raise InvalidInput(f"bars have no {figure!r}; choose one of {', '.join(FIGURES)}")
    if not {"symbol", "at"} <= set(moments.columns):
        raise InvalidInput("the moments lack a column; give symbol and at")
    if bool(moments["symbol"].isna().any()):
        raise InvalidInput("the moments' symbol is empty in places; drop those rows")
    if getattr(moments["at"].dtype, "tz", None) is None or bool(moments["at"].isna().any()):
        raise InvalidInput("the moments' at is empty or has no timezone; give UTC moments")


def _sorted(found: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    keys = cast("NDArray[np.int64]", found.column("key").to_numpy())
    values = cast("NDArray[np.float64]", found.column("figure").to_numpy())
    if bool((np.diff(keys) > 0).all()):
        return keys, values
    order = np.argsort(keys, kind="stable")
    return keys[order], values[order]


def _before(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of the last key not above each wanted one, -1 where there is none.

    Asked for in sorted order, neighbouring searches walk the same memory.
    """
    order = np.argsort(wanted)
    place = np.empty(len(wanted), dtype=np.int64)
    place[order] = np.searchsorted(keys, wanted[order], side="right") - 1
    return place
