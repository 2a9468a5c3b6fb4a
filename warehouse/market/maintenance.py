"""Let go of what is too old to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from warehouse.market.connection import MarketStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Progress = Callable[[str], None]


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
