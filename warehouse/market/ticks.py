"""Ticks, quotes and depth: Parquet files by date and symbol, read through DuckDB views.

<folder>/<kind>/date=2024-01-02/symbol=KO/part-<name>.parquet, dates of New York. Every row has ts
(the event, UTC), known_at (when it was received, UTC), seq (its place among rows of one source) and
source. Prices are USD, sizes shares. Files appear whole or not at all, and writing one again under
the same name replaces it: an interrupted import or rotation is repeated without a double row.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from models.domain.errors import InvalidInput
from models.domain.sessions import EXCHANGE_TZ
from warehouse.lasting_names import make_folder, sync
from warehouse.market.connection import utc_naive
from warehouse.market.selection import of_days, wanted
from warehouse.market.staging import ArrowTable, arrow, fetch_frame
from warehouse.market.tick_journal import SUFFIX, TickJournal, left_behind, read_journal

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

KINDS: tuple[str, ...] = ("trades", "quotes", "depth")
_OWN: dict[str, tuple[tuple[str, str], ...]] = {
    "trades": (
        ("price", "float64"),
        ("size", "float64"),
        ("exchange", "string"),
        ("conditions", "string"),
    ),
    "quotes": (
        ("bid", "float64"),
        ("bid_size", "float64"),
        ("ask", "float64"),
        ("ask_size", "float64"),
    ),
    "depth": (
        ("side", "string"),  # bid or ask
        ("position", "int32"),  # 0 is best
        ("operation", "string"),  # insert, update, delete; reset: the book is empty
        ("price", "float64"),
        ("size", "float64"),
        ("maker", "string"),
    ),
}
_SQL_TYPES = {"float64": "DOUBLE", "string": "VARCHAR", "int32": "INTEGER"}


@dataclass(frozen=True, slots=True)
class Rotation:
    """What became of journals: rows turned into Parquet, and the files they are in."""

    rows: int
    files: tuple[Path, ...]


class TickFiles:
    """The folder of ticks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def journal(self, kind: str, name: str) -> TickJournal:
        """Open a new journal; `name` is unique among all that ever were."""
        return TickJournal(self._journals / f"{kind}.{name}{SUFFIX}", schema_of(kind))

    def rotate(self, journal: Path) -> Rotation:
        """Turn a journal that nobody writes into Parquet files, then remove it."""
        kind, name = journal.name.removesuffix(SUFFIX).split(".", 1)
        table = read_journal(journal)
        done = Rotation(0, ()) if table is None else self.write(kind, table, name)
        journal.unlink()
        return done

    def recover(self) -> Rotation:
        """Turn what killed recorders left into Parquet."""
        done = [self.rotate(path) for path in left_behind(self._journals)]
        return Rotation(
            sum(part.rows for part in done), tuple(file for part in done for file in part.files)
        )

    def write(self, kind: str, rows: ArrowTable, name: str) -> Rotation:
        """Write rows (the schema of `kind`) as one file a date and symbol."""
        pc: Any = _compute()
        if rows.num_rows == 0:
            return Rotation(0, ())
        utc = pc.assume_timezone(rows["ts"].cast(arrow().timestamp("us")), "UTC")
        local = pc.local_timestamp(utc.cast(arrow().timestamp("us", tz=str(EXCHANGE_TZ))))
        dated = rows.append_column("date", pc.cast(local, arrow().date32()))
        files: list[Path] = []
        for day in pc.unique(dated["date"]).to_pylist():
            of_day = dated.filter(pc.equal(dated["date"], day))
            for symbol in pc.unique(of_day["symbol"]).to_pylist():
                own = of_day.filter(pc.equal(of_day["symbol"], symbol))
                folder = self.folder / kind / f"date={day}" / f"symbol={quote(symbol, safe='')}"
                files.append(_write_whole(folder, name, own.drop_columns(["date", "symbol"])))
        return Rotation(rows.num_rows, tuple(files))

    @contextmanager
    def connect(self) -> Generator[DuckDBPyConnection, None, None]:
        """Give an in-memory DuckDB with the views trades, quotes and depth."""
        import duckdb

        connection = duckdb.connect(":memory:")
        try:
            for kind in KINDS:
                connection.execute(f"CREATE VIEW {kind} AS {self._select(kind)}")
            yield connection
        finally:
            connection.close()

    def read(
        self,
        kind: str,
        symbols: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the ticks of `symbols` (None: all) with New York dates in [first, last].

        With `as_of` (UTC) only those that had been received by then. Sorted by symbol, ts
        and seq. Raises InvalidInput for an unknown kind.
        """
        _own(kind)
        query = (
            f"SELECT * EXCLUDE (date) FROM {kind} "  # noqa: S608 - one of KINDS
            f"WHERE {of_days('date')} "
            "AND ($as_of::TIMESTAMP IS NULL OR known_at <= $as_of) ORDER BY symbol, ts, seq"
        )
        received = {"as_of": None if as_of is None else utc_naive(as_of)}
        with self.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return fetch_frame(connection, query, wanted(symbols, first, last) | received)

    def coverage(self) -> pd.DataFrame:
        """Return one row a kind, symbol and date: count of rows, first and last ts (UTC)."""
        of_kind = (
            "SELECT '{0}' AS kind, symbol, date, COUNT(*) AS rows, MIN(ts) AS first, "
            "MAX(ts) AS last FROM {0} GROUP BY symbol, date"
        )
        parts = " UNION ALL ".join(of_kind.format(kind) for kind in KINDS)
        with self.connect() as connection:
            return fetch_frame(connection, f"{parts} ORDER BY kind, symbol, date")

    @property
    def _journals(self) -> Path:
        return self.folder / "journal"

    def _select(self, kind: str) -> str:
        if any((self.folder / kind).glob("*/*/*.parquet")):
            place = str(self.folder / kind).replace("'", "''")
            return (
                f"SELECT * FROM read_parquet('{place}/*/*/*.parquet', hive_partitioning = true, "  # noqa: S608
                "hive_types = {'date': DATE, 'symbol': VARCHAR})"
            )
        empty = [("ts", "TIMESTAMP"), ("known_at", "TIMESTAMP"), ("seq", "BIGINT")]
        empty += [("source", "VARCHAR")]
        empty += [(name, _SQL_TYPES[type_]) for name, type_ in _OWN[kind]]
        empty += [("date", "DATE"), ("symbol", "VARCHAR")]
        nothing = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in empty)
        return f"SELECT {nothing} WHERE false"


def schema_of(kind: str) -> Any:
    """Return the Arrow schema of a kind's rows; ts and known_at are UTC without a timezone."""
    pa = arrow()
    moment = pa.timestamp("us")
    fields = [("ts", moment), ("known_at", moment), ("seq", pa.int64()), ("source", pa.string())]
    fields += [(name, getattr(pa, type_)()) for name, type_ in _own(kind)]
    return pa.schema([*fields, ("symbol", pa.string())])


def _own(kind: str) -> tuple[tuple[str, str], ...]:
    if kind not in _OWN:
        raise InvalidInput(f"there are no ticks of kind {kind}; give one of {', '.join(KINDS)}")
    return _OWN[kind]


def _compute() -> Any:
    from importlib import import_module

    return import_module("pyarrow.compute")


def _write_whole(folder: Path, name: str, rows: ArrowTable) -> Path:
    """Write a Parquet file that is there whole or not at all."""
    from importlib import import_module

    parquet: Any = import_module("pyarrow.parquet")
    make_folder(folder)
    target = folder / f"part-{name}.parquet"
    unfinished = folder / f".{target.name}.tmp"
    parquet.write_table(rows, unfinished, compression="zstd")
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(target)
    sync(folder)  # the name must last before the journal is removed
    return target
