"""Prove that the warehouse is whole, and let go of what is too old to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.contents import TableContent, table_columns, table_content, whole_content
from warehouse.market.resample import BUILT, TABLES, stage_hours

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Progress = Callable[[str], None]

KEYS = {
    "bars_daily": ("symbol", "session"),
    **dict.fromkeys(("bars_5s", *TABLES.values()), ("symbol", "ts")),
}
_BAD_BAR = (
    "NOT (low > 0 AND isfinite(high) AND high >= open AND high >= close AND high >= low "
    "AND low <= open AND low <= close AND volume >= 0)"
)


@dataclass(frozen=True, slots=True)
class MarketCheck:
    """What a check found: each table's content, one hash of all, and every problem in words."""

    place: str
    tables: dict[str, TableContent]
    sha256: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retained:
    """Rows that a retention would take (or took) from each table, and where they were written."""

    before: date
    rows: dict[str, int]
    written: tuple[str, ...]
    removed: bool


def check_market(
    store: MarketStore, progress: Progress, daily_bps: float | None = None
) -> MarketCheck:
    """Read every row of one moment: checksums, keys, prices, and larger bars against the minutes.

    With `daily_bps` the broker's daily prices are compared with the minutes' too. Raises
    InvalidInput for a damaged file, which names the place.
    """
    problems: list[str] = []
    tables: dict[str, TableContent] = {}
    with store.read() as connection:
        for name, columns in table_columns(connection).items():
            tables[name] = table_content(connection, name, columns)
            progress(f"{name}: {tables[name].rows:,} rows")
            if name in KEYS:
                problems += _wrong_rows(connection, name, KEYS[name])
        problems += _wrong_hours(connection)
        for below, size in zip(("1m", *BUILT), BUILT, strict=False):
            problems += _wrong_sums(connection, TABLES[below], TABLES[size])
    if daily_bps is not None:
        problems += [
            f"bars_daily has the {figure} of {symbol} on {session} at {told:g} USD, its minutes at "
            f"{built:g} USD; look which source is wrong and ingest it again"
            for symbol, session, figure, told, built in differing_days(store, daily_bps)
        ]
    return MarketCheck(str(store.path), tables, whole_content(tables), tuple(problems))


def retain_market(
    store: MarketStore, before: date, folder: Path | None, remove: bool, progress: Progress
) -> Retained:
    """Count the minutes and replaced rows of sessions before a date; with `remove`, drop them.

    Larger bars stay, and a later change of such a session's minutes is refused. With `folder` the
    rows are written there as Parquet first. Raises InvalidInput for a folder that holds such files.
    """
    where = "session < ?"
    written: list[str] = []
    counts: dict[str, int] = {}
    tables = ("bars_minute", "bars_minute_history", "bars_daily_history")
    with store.write() if remove else store.read() as connection:
        for name in tables:
            found = connection.execute(
                f"SELECT count(*) FROM {name} WHERE {where}",  # noqa: S608 - names are ours
                [before],
            ).fetchone()
            counts[name] = int(found[0]) if found else 0
            if not remove or not counts[name]:
                continue
            if folder is not None:
                written.append(_write_out(connection, name, before, folder))
            connection.execute(f"DELETE FROM {name} WHERE {where}", [before])  # noqa: S608
            progress(f"{name}: {counts[name]:,} rows before {before} removed")
    return Retained(before, counts, tuple(written), remove)


def differing_days(
    store: MarketStore,
    tolerance_bps: float,
    first: date | None = None,
    last: date | None = None,
    as_of: datetime | None = None,
) -> list[tuple[str, date, str, float, float]]:
    """Compare the broker's daily bars with the sessions built from minutes.

    Returns (symbol, session, column, broker's USD, built USD) where a price differs by more than
    `tolerance_bps`, with `as_of` (UTC) only rows that the broker had told by then. Volume is not
    compared: the broker's day counts auctions and odd lots that its minutes do not.
    """
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
    with store.read() as connection:
        return connection.execute(query, values).fetchall()


def _wrong_rows(connection: DuckDBPyConnection, name: str, keys: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    listed = ", ".join(keys)
    twice = connection.execute(
        f"SELECT {listed} FROM {name} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"  # noqa: S608
    ).fetchone()
    if twice:
        found.append(
            f"{name} has {twice[0]} {twice[1]} more than once; restore a backup, or export, "
            "correct and import"
        )
    bad = connection.execute(
        f"SELECT count(*), min(symbol) FROM {name} WHERE {_BAD_BAR}"  # noqa: S608
    ).fetchone()
    if bad and bad[0]:
        found.append(
            f"{name} has {bad[0]:,} bars whose prices or volume cannot be (first symbol {bad[1]}); "
            "ingest these sessions again"
        )
    return found


def _wrong_hours(connection: DuckDBPyConnection) -> list[str]:
    stage_hours(connection, "bars_minute")
    found = connection.execute(
        "SELECT count(*), min(symbol), min(session) FROM bars_minute "
        "ANTI JOIN hours USING (session)"
    ).fetchone()
    if not found or not found[0]:
        return []
    return [
        f"bars_minute has {found[0]:,} rows on days without a session (first: {found[1]} "
        f"{found[2]}); restore a backup"
    ]


def _wrong_sums(connection: DuckDBPyConnection, small: str, large: str) -> list[str]:
    """Compare volumes, extremes and counts of each session; dropped minutes are not compared."""
    minutes = "count(*)" if small == "bars_minute" else "sum(minutes)"
    inside = "JOIN hours USING (session) WHERE ts >= opens AND ts < closes"
    source = f"{small} {inside}" if small == "bars_minute" else small
    figures = "sum(volume) AS volume, max(high) AS high, min(low) AS low"
    found = connection.execute(
        f"SELECT count(*), min(symbol), min(session) FROM (SELECT symbol, session, {figures}, "  # noqa: S608
        f"{minutes} AS minutes FROM {source} GROUP BY ALL) AS small FULL JOIN (SELECT symbol, "
        f"session, {figures}, sum(minutes) AS minutes FROM {large} GROUP BY ALL) AS large "
        "USING (symbol, session) WHERE (small.volume, small.high, small.low, small.minutes) IS "
        "DISTINCT FROM (large.volume, large.high, large.low, large.minutes) "
        + ("AND small.volume IS NOT NULL" if small == "bars_minute" else "")
    ).fetchone()
    if not found or not found[0]:
        return []
    return [
        f"{large} differs from {small} in {found[0]:,} sessions (first: {found[1]} {found[2]}); "
        "ingest these sessions' minutes again"
    ]


def _write_out(connection: DuckDBPyConnection, name: str, before: date, folder: Path) -> str:
    target = folder / f"{name}-before-{before}.parquet"
    if target.exists():
        raise InvalidInput(f"{target} exists; name another folder, nothing was removed")
    folder.mkdir(parents=True, exist_ok=True)
    quoted = str(target).replace("'", "''")
    connection.execute(
        f"COPY (SELECT * FROM {name} WHERE session < DATE '{before}' ORDER BY ALL) TO '{quoted}' "  # noqa: S608
        "(FORMAT parquet, COMPRESSION zstd)"
    )
    return str(target)
