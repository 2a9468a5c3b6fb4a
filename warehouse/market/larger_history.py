"""What was known of larger bars, kept when their minutes are dropped.

While the minutes are there, a larger bar as of a moment is built from those that were known then.
Before a retention drops them it keeps every state that each bar has had since it ended, with the
moment since when. What a bar looked like while it was still going on ends with its minutes.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from warehouse.market.resample import BUILT, bar_start, bucket_of, stage_hours, width_of
from warehouse.market.selection import of_days

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from warehouse.market.spans import Span

TABLE = "larger_bars_known"
_BAR = "symbol, ts, session, open, high, low, close, volume"
_VERSIONS = """
CREATE OR REPLACE TEMP TABLE versions AS
SELECT told.*, opens, closes FROM (
    SELECT {bar}, known_at, NULL::TIMESTAMP AS replaced_at FROM bars_minute WHERE {where}
    UNION ALL
    SELECT {bar}, known_at, replaced_at FROM bars_minute_history
    WHERE {where} AND known_at < replaced_at
) AS told JOIN hours USING (session) WHERE ts >= opens AND ts < closes
"""
_STATES = """
CREATE OR REPLACE TEMP TABLE states AS
WITH placed AS (
    SELECT *, {bucket} AS bucket, least(make_timestamp(({bucket} + 1) * {width}), closes) AS ends
    FROM versions
), moments AS (
    SELECT DISTINCT symbol, bucket, greatest(known_at, ends) AS since FROM placed
), built AS (
    SELECT symbol, {start} AS ts, session, arg_min(open, placed.ts) AS open, max(high) AS high,
        min(low) AS low, arg_max(close, placed.ts) AS close, sum(volume)::BIGINT AS volume,
        count(*)::INTEGER AS minutes, since AS known_at
    FROM placed JOIN moments USING (symbol, bucket)
    WHERE known_at <= since AND (replaced_at IS NULL OR replaced_at > since)
    GROUP BY symbol, bucket, session, opens, since
)
SELECT * FROM built
WINDOW bars AS (PARTITION BY symbol, ts ORDER BY known_at)
QUALIFY row_number() OVER bars = 1 OR (open, high, low, close, volume, minutes) IS DISTINCT FROM
    lag((open, high, low, close, volume, minutes)) OVER bars
"""
_REPLACED = """
DELETE FROM larger_bars_known AS kept USING states WHERE kept.timeframe = '{size}'
    AND kept.symbol = states.symbol AND kept.ts = states.ts AND kept.known_at = states.known_at
"""


def keep_known(connection: DuckDBPyConnection, span: Span) -> None:
    """Keep what was known of the larger bars of a span of sessions, before its minutes go."""
    stage_hours(connection, span.of("bars_minute"))
    connection.execute(_VERSIONS.format(bar=_BAR, where=span.where))
    for size in BUILT:
        connection.execute(
            _STATES.format(
                bucket=bucket_of("ts", size), width=width_of(size), start=bar_start(size)
            )
        )
        connection.execute(_REPLACED.format(size=size))
        connection.execute(
            f"INSERT INTO {TABLE} SELECT '{size}', * FROM states ORDER BY symbol, ts, known_at"  # noqa: S608
        )


def with_dropped(built: str, size: str) -> str:
    """Return the query for `built` and, of sessions that it has not, what is kept as of $as_of.

    `built` gives the columns of the minute frame; $symbols, $first and $last choose as in
    `of_days`.
    """
    return (
        f"WITH built AS ({built}) SELECT {_BAR} FROM built UNION ALL "  # noqa: S608
        f"SELECT {_BAR} FROM (SELECT * FROM {TABLE} WHERE timeframe = '{size}' "
        f"AND known_at <= $as_of AND {of_days('session')} QUALIFY row_number() OVER "
        "(PARTITION BY symbol, ts ORDER BY known_at DESC) = 1) "
        "ANTI JOIN (SELECT DISTINCT symbol, session FROM built) USING (symbol, session) "
        "ORDER BY symbol, ts"
    )


def refuse_older(connection: DuckDBPyConnection, moment: datetime) -> None:
    """Raise InvalidInput when fresh bars differ from what was known later than `moment`.

    The tables built_5m and touched are those of `rebuild`; `moment` is naive UTC.
    """
    found = connection.execute(
        "SELECT symbol, session, max(known_at) FROM ("  # noqa: S608 - names are ours
        f"SELECT kept.* FROM {TABLE} AS kept SEMI JOIN touched USING (symbol, session) "
        "WHERE timeframe = '5m' QUALIFY row_number() OVER "
        "(PARTITION BY symbol, ts ORDER BY known_at DESC) = 1) AS kept "
        "LEFT JOIN built_5m AS fresh USING (symbol, session, ts) WHERE known_at > $moment "
        "AND (kept.open, kept.high, kept.low, kept.close, kept.volume) IS DISTINCT FROM "
        "(fresh.open, fresh.high, fresh.low, fresh.close, fresh.volume) GROUP BY ALL LIMIT 1",
        {"moment": moment},
    ).fetchone()
    if found:
        raise InvalidInput(
            f"the minutes of {found[0]} on {found[1]}, which were dropped, differ from what was "
            f"learnt at {found[2]} UTC (these at {moment} UTC); older knowledge replaces no newer: "
            "state when these were known (--known-at of a file)"
        )
