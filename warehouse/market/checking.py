"""Prove that the warehouse is whole, in short reads between which writers get their turn.

Each read judges all that belongs to some days: what must agree is compared within one moment, so a
change between two reads is no error. The hash of a table is the sum of its parts; it is told only
when nobody wrote from the first read to the last, for otherwise it is that of no moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.sessions import sessions_between
from warehouse.market.connection import MarketStore
from warehouse.market.contents import ContentSum, content_sum, table_columns, whole_content
from warehouse.market.daily_agreement import read_differences
from warehouse.market.larger_history import TABLE as KNOWN
from warehouse.market.resample import BUILT, TABLES, stage_hours
from warehouse.market.spans import Paced, Span, count_places, last_day, short_reads
from warehouse.market.storage import file_mark

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from warehouse.market.spans import Reader

Progress = Callable[[str], None]

MINUTES = TABLES["1m"]
TOGETHER = (*TABLES.values(), KNOWN)  # compared with each other, so read in the same moment
KEYS = {
    "bars_daily": ("symbol", "session"),
    **dict.fromkeys(("bars_5s", *TABLES.values()), ("symbol", "ts")),
    KNOWN: ("timeframe", "symbol", "ts", "known_at"),
}
ALONG = ("session", "ts", "moment", "changed_at", "checked_at", "made_at", "measured_at")
_BAD_BAR = (
    "NOT (low > 0 AND isfinite(high) AND high >= open AND high >= close AND high >= low "
    "AND low <= open AND low <= close AND volume >= 0)"
)
_TWICE = "{table} has {first} more than once; restore a backup, or export, correct and import"
_BAD = (
    "{table} has {count:,} bars whose prices or volume cannot be (first symbol {first}); "
    "ingest these sessions again"
)
_CLOSED = "{table} has {count:,} rows on days without a session (first: {first}); restore a backup"
_ELSEWHERE = (
    "{table} has {count:,} rows of another day than their session (first: {first}); "
    "restore a backup"
)
_SUMS = (
    "{table} differs from {below} in {count:,} sessions (first: {first}); "
    "ingest these sessions' minutes again"
)
_UNLIKE_KNOWN = (
    "{table} has {count:,} bars without minutes that differ from what larger_bars_known last has "
    "of them (first: {first}); restore a backup"
)
# A session's date is that of New York; its day begins 570 minutes before an opening at 09:30.
_OWN_DAY = "ts >= opens - INTERVAL 570 MINUTE AND ts < opens + INTERVAL 870 MINUTE"


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """One table: how many rows were read, and the SHA-256 of their content as in `contents`."""

    rows: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class MarketCheck:
    """What a check found: each table's content, one hash of all, and every problem in words.

    The hashes are None when somebody wrote meanwhile.
    """

    place: str
    tables: dict[str, CheckedTable]
    sha256: str | None
    problems: tuple[str, ...]


def check_market(
    store: MarketStore, progress: Progress, daily_bps: float | None = None
) -> MarketCheck:
    """Read every row: checksums, keys, prices, and larger bars against the minutes.

    With `daily_bps` the broker's daily prices are compared with the minutes' too. A writer waits
    for one short read. Raises InvalidInput for a damaged file, which names the place.
    """
    with short_reads(store) as reader:
        with reader() as connection:
            columns = table_columns(connection)
        check = _Check(store, reader, columns, progress, daily_bps)
        check.read(TOGETHER, "session")
        for name in sorted(set(columns) - set(TOGETHER)):
            check.read((name,), next((part for part in ALONG if part in columns[name]), None))
        return check.result()


class _Check:
    """A check under way: the sums and the problems so far, and the file's mark at each read."""

    def __init__(
        self,
        store: MarketStore,
        reader: Reader,
        columns: dict[str, tuple[str, ...]],
        progress: Progress,
        daily_bps: float | None,
    ) -> None:
        self._store, self._reader, self._columns = store, reader, columns
        self._progress, self._daily_bps = progress, daily_bps
        self._sums = dict.fromkeys(columns, ContentSum())
        self._marks: set[tuple[int, ...]] = set()
        self._found: dict[tuple[str, str], tuple[int, str]] = {}
        self._days: list[str] = []

    def read(self, tables: Sequence[str], column: str | None) -> None:
        """Read `tables` along `column`, or at once when they have none to go along."""
        if column is None:
            with self._reader() as connection:
                self._read_span(connection, tables, Span("", None, None))
        else:
            with self._reader() as connection:
                counts = count_places(connection, tables, column)
            if MINUTES in tables and counts:  # the calendar is slow to load: not under the lock
                sessions_between(counts[0][0], counts[0][0])
            total, told = sum(rows for _, rows in counts), 0.1
            for span, _ in Paced(counts, column).spans():
                with self._reader() as connection:
                    self._read_span(connection, tables, span)
                done = sum(self._sums[name].rows for name in tables)
                if span.upper is not None and done > told * total:
                    self._progress(f"{', '.join(tables)}: {done:,} of {total:,} rows")
                    told = done / total + 0.1
        for name in tables:
            self._progress(f"{name}: {self._sums[name].rows:,} rows")

    def result(self) -> MarketCheck:
        """Return what was found; hashes only of a content that stood still."""
        stood_still = len(self._marks) == 1
        contents = {name: total.content(self._columns[name]) for name, total in self._sums.items()}
        tables = {
            name: CheckedTable(content.rows, content.sha256 if stood_still else None)
            for name, content in contents.items()
        }
        problems = [
            text.format(table=table, count=count, first=first)
            for (table, text), (count, first) in self._found.items()
        ]
        whole = whole_content(contents) if stood_still else None
        return MarketCheck(str(self._store.path), tables, whole, (*problems, *self._days))

    def _read_span(self, connection: DuckDBPyConnection, tables: Sequence[str], span: Span) -> None:
        self._marks.add(_mark(self._store))
        for name in tables:
            rows = span.of(name)
            self._sums[name] += content_sum(connection, rows, self._columns[name])
            if name in KEYS:
                self._look_for_wrong_rows(connection, name, rows)
        if MINUTES in tables:
            self._look_at_days(connection, span)
            for below, size in zip(("1m", *BUILT), BUILT, strict=False):
                self._compare_sums(connection, TABLES[below], TABLES[size], span)
                self._compare_known(connection, size, span)
        if tables[0] == "bars_daily" and self._daily_bps is not None:
            found = read_differences(connection, self._daily_bps, span.lower, last_day(span))
            self._days += [
                f"bars_daily has the {figure} of {symbol} on {session} at {told:g} USD, its "
                f"minutes at {built:g} USD; look which source is wrong and ingest it again"
                for symbol, session, figure, told, built in found
            ]

    def _look_for_wrong_rows(self, connection: DuckDBPyConnection, name: str, rows: str) -> None:
        keys = KEYS[name]
        listed = ", ".join(keys)
        twice = connection.execute(
            f"SELECT {listed} FROM {rows} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"  # noqa: S608
        ).fetchone()
        if twice:
            self._note(name, _TWICE, (1, " ".join(map(str, twice))))
        bad = connection.execute(
            f"SELECT count(*), min(symbol) FROM {rows} WHERE {_BAD_BAR}"  # noqa: S608
        ).fetchone()
        self._note(name, _BAD, bad)

    def _look_at_days(self, connection: DuckDBPyConnection, span: Span) -> None:
        """Look for minutes on days without a session, and for those of another day."""
        minutes = span.of(MINUTES)
        stage_hours(connection, minutes)
        counted = "SELECT count(*), min(symbol) || ' ' || min(session)"
        closed = connection.execute(
            f"{counted} FROM {minutes} ANTI JOIN hours USING (session)"
        ).fetchone()
        self._note(MINUTES, _CLOSED, closed)
        elsewhere = connection.execute(
            f"{counted} FROM {minutes} JOIN hours USING (session) WHERE NOT ({_OWN_DAY})"
        ).fetchone()
        self._note(MINUTES, _ELSEWHERE, elsewhere)

    def _compare_sums(
        self, connection: DuckDBPyConnection, small: str, large: str, span: Span
    ) -> None:
        """Compare volumes, extremes and counts of each session; dropped minutes are not."""
        is_minutes = small == MINUTES
        source = span.of(small)
        if is_minutes:
            source += " JOIN hours USING (session) WHERE ts >= opens AND ts < closes"
        figures = "sum(volume) AS volume, max(high) AS high, min(low) AS low"
        counted = f"{figures}, {'count(*)' if is_minutes else 'sum(minutes)'} AS minutes"
        found = connection.execute(
            "SELECT count(*), min(symbol) || ' ' || min(session) FROM "  # noqa: S608
            f"(SELECT symbol, session, {counted} FROM {source} GROUP BY ALL) AS small FULL JOIN "
            f"(SELECT symbol, session, {figures}, sum(minutes) AS minutes FROM {span.of(large)} "
            "GROUP BY ALL) AS large USING (symbol, session) "
            "WHERE (small.volume, small.high, small.low, small.minutes) IS DISTINCT FROM "
            "(large.volume, large.high, large.low, large.minutes)"
            + (" AND small.volume IS NOT NULL" if is_minutes else "")
        ).fetchone()
        self._note(large, _SUMS.replace("{below}", small), found)

    def _compare_known(self, connection: DuckDBPyConnection, size: str, span: Span) -> None:
        """Compare the bars of sessions without minutes with the last that is known of them."""
        figures = "open, high, low, close, volume, minutes"
        found = connection.execute(
            "SELECT count(*), min(symbol) || ' ' || min(session) FROM ("  # noqa: S608
            f"SELECT symbol, session, ts, {figures} FROM {span.of(KNOWN)} "
            f"WHERE timeframe = '{size}' QUALIFY row_number() OVER "
            "(PARTITION BY symbol, ts ORDER BY known_at DESC) = 1) AS kept "
            f"FULL JOIN {span.of(TABLES[size])} AS large USING (symbol, session, ts) "
            f"ANTI JOIN {span.of(MINUTES)} AS there USING (symbol, session) WHERE "
            "(kept.open, kept.high, kept.low, kept.close, kept.volume, kept.minutes) "
            "IS DISTINCT FROM "
            "(large.open, large.high, large.low, large.close, large.volume, large.minutes)"
        ).fetchone()
        self._note(TABLES[size], _UNLIKE_KNOWN, found)

    def _note(self, table: str, text: str, found: tuple[Any, ...] | None) -> None:
        """Add (count, where) to what was found of one kind in a table; the first place stays."""
        if found and found[0]:
            so_far, first = self._found.get((table, text), (0, str(found[1])))
            self._found[table, text] = (so_far + int(found[0]), first)


def _mark(store: MarketStore) -> tuple[int, ...]:
    """Return what a committed change of the file changes; a lake's snapshot never does."""
    log = Path(f"{store.path}.wal")
    if not store.path.is_file():
        return ()
    return (*file_mark(store.path), *(file_mark(log) if log.is_file() else ()))
