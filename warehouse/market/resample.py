"""Bars of 5 and 15 minutes, an hour and a session, built in SQL from bars of one minute.

The convention is that of Interactive Brokers' own bars in regular hours: boundaries are those of
the clock in New York, and the first bar starts at the opening. So the hours of a session begin at
09:30, 10:00, … 15:00; the first one holds 30 minutes, and a half-day ends with the one from 12:00.
New York is whole hours from UTC in summer and winter, so its boundaries within the hour are those
of UTC; only the opening, which the calendar gives in UTC, moves with daylight saving. Minutes
outside regular hours are kept and take no part. Each size is built from the one below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.domain.sessions import sessions_between
from warehouse.market.staging import stage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# The table of each timeframe, smallest first.
TABLES = {
    "1m": "bars_minute",
    "5m": "bars_5m",
    "15m": "bars_15m",
    "1h": "bars_1h",
    "1d": "bars_session",
}
BUILT = ("5m", "15m", "1h", "1d")
LATE_FIRST = ("1h", "1d")  # their first bar starts at the opening, not on a whole one
_SECONDS = {"5m": 300, "15m": 900, "1h": 3600, "1d": 86_400}
_FIGURES = (
    "arg_min(open, ts) AS open, max(high) AS high, min(low) AS low, arg_max(close, ts) AS close, "
    "sum(volume)::BIGINT AS volume"
)


def timeframe_of(text: str) -> str:
    """Return a timeframe's name; raise InvalidInput for one that is not kept."""
    if text in TABLES:
        return text
    raise InvalidInput(f"there is no timeframe {text!r}; choose one of {', '.join(TABLES)}")


def width_of(size: str) -> int:
    """Return the microseconds of a larger bar."""
    return _SECONDS[size] * 1_000_000


def bucket_of(ts: str, size: str) -> str:
    """Return the SQL expression of the number of the bar in which the moment `ts` is."""
    return f"(epoch_us({ts}) // {width_of(size)})"


def bar_start(size: str) -> str:
    """Return the SQL expression of a bar's start from its `bucket` and the session's `opens`."""
    start = f"make_timestamp(bucket * {width_of(size)})"
    return f"greatest({start}, opens)" if size in LATE_FIRST else start


def rebuild(connection: DuckDBPyConnection, touched: str) -> None:
    """Build every larger bar of the (symbol, session) rows that the query `touched` gives anew.

    To be called inside the transaction that changed bars_minute. Raises InvalidInput for a session
    whose minutes were dropped by a retention: its larger bars would lose what they hold.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE touched AS {touched}")
    bounds = connection.execute(
        "SELECT min(symbol), max(symbol), min(session), max(session) FROM touched"
    ).fetchone()
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT symbol, ts, session, open, high, low, close, "
        "volume FROM bars_minute SEMI JOIN touched USING (symbol, session) "
        "WHERE symbol BETWEEN ? AND ? AND session BETWEEN ? AND ?",
        bounds,
    )
    _build_all(connection, "fresh")
    _refuse_dropped(connection, bounds)
    for size in BUILT:
        table = TABLES[size]
        connection.execute(
            f"DELETE FROM {table} USING touched WHERE {table}.symbol = touched.symbol "  # noqa: S608
            f"AND {table}.session = touched.session AND {table}.symbol BETWEEN ? AND ? "
            f"AND {table}.session BETWEEN ? AND ?",
            bounds,
        )
    _insert_built(connection)


def build_new(connection: DuckDBPyConnection, minutes: str) -> None:
    """Build every larger bar of the table `minutes`, none of whose sessions is stored yet."""
    _build_all(connection, minutes)
    _insert_built(connection)


def _build_all(connection: DuckDBPyConnection, minutes: str) -> None:
    source = minutes
    for size in BUILT:
        build(connection, source, size)
        source = f"built_{size}"


def _insert_built(connection: DuckDBPyConnection) -> None:
    for size in BUILT:
        connection.execute(
            f"INSERT INTO {TABLES[size]} SELECT * FROM built_{size} ORDER BY symbol, ts"  # noqa: S608
        )


def _refuse_dropped(connection: DuckDBPyConnection, bounds: object) -> None:
    found = connection.execute(
        "SELECT former.symbol, former.session, former.minutes, coalesce(built.minutes, 0) "
        "FROM bars_session AS former SEMI JOIN touched USING (symbol, session) "
        "LEFT JOIN built_1d AS built USING (symbol, session) "
        "WHERE former.symbol BETWEEN ? AND ? AND former.session BETWEEN ? AND ? "
        "AND former.minutes > coalesce(built.minutes, 0) LIMIT 1",
        bounds,
    ).fetchone()
    if found:
        raise InvalidInput(
            f"of {found[0]} on {found[1]} only {found[3]} of {found[2]} minutes are still kept "
            "(robo warehouse retain dropped the others); merge the whole session again"
        )


def resampled(connection: DuckDBPyConnection, minutes: str, size: str, columns: str) -> str:
    """Build bars of `size` from the table `minutes` and return the query that reads them."""
    source = minutes
    for step in BUILT[: BUILT.index(size) + 1]:
        build(connection, source, step)
        source = f"built_{step}"
    return f"SELECT {columns} FROM built_{size} ORDER BY symbol, ts"  # noqa: S608


def build(connection: DuckDBPyConnection, source: str, size: str) -> None:
    """Make the temporary table built_<size> from the table `source`, one size below it.

    Regular hours lie within one date of UTC, so that the session follows from the bar's place in
    time; the groups are of symbol and place alone, which is what most of the time goes into.
    """
    width = width_of(size)
    counted, hours = "sum(minutes)", ""
    if size == BUILT[0]:
        stage_hours(connection, source)
        counted = "count(*)"
        hours = "JOIN hours USING (session) WHERE small.ts >= opens AND small.ts < closes "
    opening = "JOIN hours USING (session)" if size in LATE_FIRST else ""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE built_{size} AS "  # noqa: S608 - names are ours
        f"SELECT symbol, {bar_start(size)} AS ts, session, open, high, low, close, volume, "
        "minutes FROM ("
        f"SELECT symbol, bucket, make_timestamp(bucket * {width})::DATE AS session, "
        "open, high, low, close, volume, minutes FROM ("
        f"SELECT symbol, {bucket_of('small.ts', size)} AS bucket, {_FIGURES}, "
        f"{counted}::INTEGER AS minutes FROM {source} AS small {hours}GROUP BY symbol, bucket"
        f")) {opening}"
    )


def stage_hours(connection: DuckDBPyConnection, source: str) -> None:
    """Make the temporary table hours (session, opens, closes in UTC) for the dates of `source`."""
    bounds = connection.execute(f"SELECT min(session), max(session) FROM {source}").fetchone()  # noqa: S608
    first, last = bounds or (None, None)
    found = () if first is None or last is None else sessions_between(first, last)
    hours = stage(
        {
            "session": ("date", [one.date for one in found]),
            "opens": ("moment", [one.open for one in found]),
            "closes": ("moment", [one.close for one in found]),
        }
    )
    connection.register("hours_staged", hours)
    connection.execute("CREATE OR REPLACE TEMP TABLE hours AS SELECT * FROM hours_staged")
