"""Cut tables along their days, so that each part is read while the file is held for a moment."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from warehouse.market.connection import MarketStore
from warehouse.market.lake import LakeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

    Reader = Callable[[], AbstractContextManager[DuckDBPyConnection]]

FIRST_PART, LEAST_PART = 200_000, 100_000  # rows a read
HELD = 0.4  # seconds that a read should hold the file: what a writer waits for
HOUR = 3_600_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Span:
    """The rows whose `column` (a DATE or TIMESTAMP) is in [lower, upper); None is no bound.

    What has no bound below holds the rows without a value too.
    """

    column: str
    lower: date | None
    upper: date | None

    @property
    def where(self) -> str:
        """The SQL condition; a bound is a literal, so that other parts of a table are skipped."""
        parts = [
            f"{self.column} {sign} {_literal(bound)}"
            for sign, bound in ((">=", self.lower), ("<", self.upper))
            if bound is not None
        ]
        if not parts:
            return "true"
        inside = " AND ".join(parts)
        return inside if self.lower is not None else f"({inside} OR {self.column} IS NULL)"

    def of(self, table: str) -> str:
        """Return the subquery of a table's rows in the span."""
        return f"(SELECT * FROM {table} WHERE {self.where})"  # noqa: S608 - names are ours


class Paced:
    """Steps along counted places, each as large as should hold the file for HELD seconds."""

    def __init__(
        self, counts: Sequence[tuple[date, int]], column: str, until: date | None = None
    ) -> None:
        """Take (place, rows) in order, a day or an hour each, and where the last span ends."""
        self._counts = counts
        self._until = until
        self._column = column
        self._size = float(FIRST_PART)
        self._lower: date | None = None

    def spans(self) -> Generator[tuple[Span, int], None, None]:
        """Give each span and its rows; together they cover all before the end, uncounted or not."""
        place = 0
        while True:
            begin, rows = place, 0
            while place < len(self._counts) and (
                place == begin or rows + self._counts[place][1] <= self._size
            ):
                rows += self._counts[place][1]
                place += 1
            is_last = place >= len(self._counts)
            upper = self._until if is_last else self._counts[place][0]
            started = monotonic()
            yield Span(self._column, self._lower, upper), rows
            held = max(monotonic() - started, 1e-3)
            if rows:
                self._size = max(min(rows * HELD / held, 2 * self._size), LEAST_PART)
            self._lower = upper
            if is_last:
                return


def count_places(
    connection: DuckDBPyConnection, tables: Sequence[str], column: str
) -> list[tuple[date, int]]:
    """Return the rows of all `tables` together by day (DATE) or hour (TIMESTAMP) of `column`."""
    kind = connection.execute(f"SELECT typeof({column}) FROM {tables[0]} LIMIT 1").fetchone()  # noqa: S608
    is_day = kind is None or kind[0] == "DATE"
    place = column if is_day else f"make_timestamp(epoch_us({column}) // {HOUR} * {HOUR})"
    parts = " UNION ALL ".join(
        f"SELECT {place} AS place, count(*) AS rows FROM {table} GROUP BY ALL"  # noqa: S608
        for table in tables
    )
    query = (
        f"SELECT place, sum(rows) FROM ({parts}) WHERE place IS NOT NULL GROUP BY place "  # noqa: S608
        "ORDER BY place"
    )
    return [(where, int(rows)) for where, rows in connection.execute(query).fetchall()]


@contextmanager
def short_reads(store: MarketStore) -> Generator[Reader, None, None]:
    """Give what opens the store for one read: a file each time anew, a lake's one snapshot.

    Between two reads of a file writers get their turn; a lake's readers keep nobody waiting.
    """
    if not isinstance(store, LakeStore):
        yield store.read
        return
    with store.read() as connection:

        @contextmanager
        def same() -> Generator[DuckDBPyConnection, None, None]:
            yield connection

        yield same


def last_day(span: Span) -> date | None:
    """Return the last day of a span of whole days."""
    return None if span.upper is None else span.upper - timedelta(days=1)


def _literal(bound: date) -> str:
    kind = "TIMESTAMP" if isinstance(bound, datetime) else "DATE"
    return f"{kind} '{bound}'"
