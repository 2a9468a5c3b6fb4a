"""Let go of what is too old to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.domain.sessions import sessions_between
from warehouse.lasting_names import make_folder, sync_file
from warehouse.market.connection import MarketStore
from warehouse.market.history_windows import FIVE_SECONDS, MINUTE, forget_windows
from warehouse.market.larger_history import keep_known
from warehouse.market.spans import Paced, count_places

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from warehouse.market.spans import Span

Progress = Callable[[str], None]

MINUTES = ("bars_minute", "bars_minute_history")
DROPPED = (  # tables, what dates them, and whose windows of history they fill
    (MINUTES, "session", MINUTE),
    (("bars_5s", "bars_5s_history"), "ts", FIVE_SECONDS),
)


@dataclass(frozen=True, slots=True)
class Retained:
    """Rows that a retention would take (or took) from each table, and where they were written."""

    before: date
    rows: dict[str, int]
    written: tuple[str, ...]
    removed: bool


def retain_market(
    store: MarketStore, before: date, folder: Path | None, remove: bool, progress: Progress
) -> Retained:
    """Count intraday bars, and replaced ones, of sessions before a date; with `remove`, drop them.

    These are minutes and five-second bars. Larger bars stay, and so does what was known of them
    when (`larger_history`); a later change of such a session's minutes is refused, unless all of
    them come: a backfill that is asked for such sessions fetches them again. It goes in short
    writes, each of whole sessions: what was broken off is completed by doing it again. With
    `folder` the rows are written there as Parquet, and are on the disk by name, before they go.
    Raises InvalidInput for a folder that holds such files.
    """
    counts: dict[str, int] = {}
    with store.read() as connection:
        for tables, column, _ in DROPPED:
            counts |= {name: _count_before(connection, name, column, before) for name in tables}
    if not remove or not any(counts.values()):
        return Retained(before, counts, (), remove)
    if folder is not None and any(folder.glob("*.parquet")):
        raise InvalidInput(f"{folder} holds Parquet files; name another folder, nothing is removed")
    sessions_between(before, before)  # the calendar is slow to load
    total, written = dict.fromkeys(counts, 0), list[str]()
    for tables, column, bar_size in DROPPED:
        with store.read() as connection:
            places = [one for one in count_places(connection, tables, column) if _day(one) < before]
        for span, _ in Paced(places, column, before).spans():
            with store.write() as connection:
                if tables is MINUTES:
                    keep_known(connection, span)
                forget_windows(connection, bar_size, before)
                for name in tables:
                    if folder is not None:
                        written += _write_out(connection, name, span, folder)
                    total[name] += _drop(connection, name, span)
            progress(f"{total[tables[0]]:,} of {counts[tables[0]]:,} rows of {tables[0]} removed")
    return Retained(before, total, tuple(written), remove)


def _day(place: tuple[date, int]) -> date:
    return place[0].date() if isinstance(place[0], datetime) else place[0]


def _count_before(connection: DuckDBPyConnection, name: str, column: str, before: date) -> int:
    found = connection.execute(
        f"SELECT count(*) FROM {name} WHERE {column} < ?",  # noqa: S608 - names are ours
        [before],
    ).fetchone()
    return int(found[0]) if found else 0


def _drop(connection: DuckDBPyConnection, name: str, span: Span) -> int:
    gone = connection.execute(f"DELETE FROM {name} WHERE {span.where}").fetchone()  # noqa: S608
    return int(gone[0]) if gone else 0


def _write_out(connection: DuckDBPyConnection, name: str, span: Span, folder: Path) -> list[str]:
    """Write a table's rows of a span to the disk; return the file, if there were any."""
    form = "%Y-%m-%d" if span.column == "session" else "%Y-%m-%dT%H%M%S"  # parts of a day differ
    ends = ", ".join(f"strftime({end}({span.column}), '{form}')" for end in ("min", "max"))
    found = connection.execute(f"SELECT {ends} FROM {span.of(name)}").fetchone()  # noqa: S608
    if not found or found[0] is None:
        return []
    make_folder(folder)
    target = folder / f"{name}-{found[0]}-to-{found[1]}.parquet"
    quoted = str(target).replace("'", "''")
    connection.execute(
        f"COPY (SELECT * FROM {span.of(name)} ORDER BY ALL) TO '{quoted}' "  # noqa: S608
        "(FORMAT parquet, COMPRESSION zstd)"
    )
    sync_file(target)
    return [str(target)]
