"""The broker's daily bars beside the sessions that were built from minutes."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from warehouse.market.connection import MarketStore, utc_naive

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Difference = tuple[str, date, str, float, float]


def differing_days(
    store: MarketStore,
    tolerance_bps: float,
    first: date | None = None,
    last: date | None = None,
    as_of: datetime | None = None,
) -> list[Difference]:
    """Compare the broker's daily bars with the sessions built from minutes.

    Returns (symbol, session, column, broker's USD, built USD) where a price differs by more than
    `tolerance_bps`, with `as_of` (UTC) only rows that the broker had told by then. Volume is not
    compared: the broker's day counts auctions and odd lots that its minutes do not.
    """
    with store.read() as connection:
        return read_differences(connection, tolerance_bps, first, last, as_of)


def read_differences(
    connection: DuckDBPyConnection,
    tolerance_bps: float,
    first: date | None = None,
    last: date | None = None,
    as_of: datetime | None = None,
) -> list[Difference]:
    """Return what `differing_days` does, of an open database."""
    columns = ("open", "high", "low", "close")
    parts = [
        f"SELECT symbol, session, '{name}' AS figure, told.{name}, built.{name} FROM bars_daily "  # noqa: S608
        "AS told JOIN bars_session AS built USING (symbol, session) "
        f"WHERE abs(built.{name} / told.{name} - 1) * 1e4 > $tolerance "
        "AND ($first::DATE IS NULL OR session >= $first) "
        "AND ($last::DATE IS NULL OR session <= $last) "
        "AND ($as_of::TIMESTAMP IS NULL OR told.known_at <= $as_of)"
        for name in columns
    ]
    values = {
        "tolerance": tolerance_bps,
        "first": first,
        "last": last,
        "as_of": None if as_of is None else utc_naive(as_of),
    }
    query = " UNION ALL ".join(parts) + " ORDER BY session, symbol, figure"
    return connection.execute(query, values).fetchall()
