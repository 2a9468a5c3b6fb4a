"""Let go of what is too old to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.domain.sessions import sessions_between
from warehouse.market.connection import MarketStore
from warehouse.market.larger_history import keep_known
from warehouse.market.spans import Paced, count_places

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from warehouse.market.spans import Span

Progress = Callable[[str], None]

DROPPED: tuple[str, ...] = ("bars_minute", "bars_minute_history")


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
    """Count the minutes, and replaced minutes, of sessions before a date; with `remove`, drop them.

    Larger bars stay, and so does what was known of them when (`larger_history`); a later change of
    such a session's minutes is refused. It goes in short writes, each of whole sessions: what was
    broken off is completed by doing it again. With `folder` the rows are written there as Parquet
    first. Raises InvalidInput for a folder that holds such files.
    """
    with store.read() as connection:
        counts = {name: _count_before(connection, name, before) for name in DROPPED}
        places = [one for one in count_places(connection, DROPPED, "session") if one[0] < before]
    if not remove or not places:
        return Retained(before, counts, (), remove)
    if folder is not None and any(folder.glob("*.parquet")):
        raise InvalidInput(f"{folder} holds Parquet files; name another folder, nothing is removed")
    sessions_between(places[0][0], places[0][0])  # the calendar is slow to load
    total, written = dict.fromkeys(counts, 0), list[str]()
    for span, _ in Paced(places, "session", before).spans():
        with store.write() as connection:
            keep_known(connection, span)
            if folder is not None:
                written += _write_out(connection, span, folder)
            for name in DROPPED:
                total[name] += _drop(connection, name, span)
        progress(f"{total['bars_minute']:,} of {counts['bars_minute']:,} minutes removed")
    return Retained(before, total, tuple(written), remove)


def _count_before(connection: DuckDBPyConnection, name: str, before: date) -> int:
    found = connection.execute(
        f"SELECT count(*) FROM {name} WHERE session < ?",  # noqa: S608 - names are ours
        [before],
    ).fetchone()
    return int(found[0]) if found else 0


def _drop(connection: DuckDBPyConnection, name: str, span: Span) -> int:
    gone = connection.execute(f"DELETE FROM {name} WHERE {span.where}").fetchone()  # noqa: S608
    return int(gone[0]) if gone else 0


def _write_out(connection: DuckDBPyConnection, span: Span, folder: Path) -> list[str]:
    """Write the rows of a span, a file a table; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    for name in DROPPED:
        found = connection.execute(
            f"SELECT min(session), max(session) FROM {span.of(name)}"  # noqa: S608
        ).fetchone()
        if not found or found[0] is None:
            continue
        target = folder / f"{name}-{found[0]}-to-{found[1]}.parquet"
        quoted = str(target).replace("'", "''")
        connection.execute(
            f"COPY (SELECT * FROM {span.of(name)} ORDER BY ALL) TO '{quoted}' "  # noqa: S608
            "(FORMAT parquet, COMPRESSION zstd)"
        )
        written.append(str(target))
    return written
