"""One-minute bars: merged idempotently in short writes, kept with their history, read at any size.

The minute frame is long: symbol (str), ts (start of the bar, UTC), session (datetime.date), open,
high, low, close (float64 USD) and volume (int64 shares), sorted by symbol, then ts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from models.domain.errors import InvalidInput
from warehouse.market.as_of import MergeResult, require_none_newer
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.larger_history import refuse_older, with_dropped
from warehouse.market.lookups import MINUTES, last_complete
from warehouse.market.minute_rows import SiftedMinutes, sift_minutes
from warehouse.market.ranking import outranked, outranks
from warehouse.market.resample import TABLES, build_new, rebuild, resampled, timeframe_of
from warehouse.market.selection import known_then, of_days, wanted
from warehouse.market.staging import ArrowTable, as_frame, fetch_table, read_frame

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

PART, LEAST_PART, MOST_PART = 125_000, 100_000, 250_000  # rows a transaction: first, and bounds
HELD = 0.5  # seconds that a transaction should hold the file: what a reader waits for

_DELTA = """
CREATE OR REPLACE TEMP TABLE delta AS
SELECT staged.*, kept.symbol IS NOT NULL AS revises, coalesce({outranks}, false) AS stays,
    coalesce({outranked}, false) AS yields,
    kept.known_at AS since
FROM staged LEFT JOIN (
    SELECT symbol, ts, open, high, low, close, volume, source, known_at
    FROM bars_minute
    SEMI JOIN spans ON bars_minute.symbol = spans.symbol
        AND session BETWEEN spans.first_session AND spans.last_session
    WHERE symbol BETWEEN $from_symbol AND $to_symbol AND session BETWEEN $first AND $last
) AS kept ON kept.symbol = staged.symbol AND kept.ts = staged.ts
WHERE kept.symbol IS NULL OR (kept.open, kept.high, kept.low, kept.close, kept.volume)
    IS DISTINCT FROM (staged.open, staged.high, staged.low, staged.close, staged.volume)
"""
_SPANS = """
CREATE OR REPLACE TEMP TABLE spans AS
SELECT symbol, min(session) AS first_session, max(session) AS last_session
FROM staged GROUP BY symbol
"""
_BOUNDS = """
SELECT min(symbol) AS from_symbol, max(symbol) AS to_symbol, min(first_session) AS first,
    max(last_session) AS last FROM spans
"""
_ANY_KEPT = """
SELECT 1 FROM {table} SEMI JOIN spans ON {table}.symbol = spans.symbol
    AND session BETWEEN spans.first_session AND spans.last_session
WHERE symbol BETWEEN $from_symbol AND $to_symbol AND session BETWEEN $first AND $last LIMIT 1
"""
_ADD_ALL = """
INSERT INTO bars_minute
SELECT symbol, ts, session, open, high, low, close, volume, $source, $known_at FROM staged
"""
_NEWER = """
SELECT count(*), max(since), any_value(symbol) FROM delta WHERE revises AND NOT yields
    AND since > $known_at
"""
_KEEP_HISTORY = """
INSERT INTO bars_minute_history
SELECT kept.symbol, kept.ts, kept.session, kept.open, kept.high, kept.low, kept.close, kept.volume,
    kept.source, kept.known_at, greatest($known_at, kept.known_at)
FROM bars_minute AS kept JOIN delta ON kept.symbol = delta.symbol AND kept.ts = delta.ts
WHERE delta.revises
"""
_REVISE = """
UPDATE bars_minute AS kept SET open = delta.open, high = delta.high, low = delta.low,
    close = delta.close, volume = delta.volume, source = $source, known_at = $known_at
FROM delta WHERE delta.revises AND kept.symbol = delta.symbol AND kept.ts = delta.ts
"""
_ADD = """
INSERT INTO bars_minute
SELECT symbol, ts, session, open, high, low, close, volume, $source, $known_at
FROM delta WHERE NOT revises ORDER BY symbol, ts
"""
_WANTED = of_days("session")
_BAR = "symbol, ts, session, open, high, low, close, volume"


class MinuteBars:
    """The one-minute bars of the warehouse, and the larger ones that are built from them."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def merge(self, frame: pd.DataFrame, source: str, known_at: datetime) -> MergeResult:
        """Merge bars (symbol, ts with a timezone, prices, volume; any order); count what it did.

        A bar with other values replaces the stored one, which goes to bars_minute_history, unless
        that is a better source's (`ranking`).
        `known_at` is when the bars were learnt (UTC). The larger bars of the touched sessions are
        built again in the same transaction. A large batch is merged in several transactions, each
        as large as takes about 0.5 s, so that readers get their turn; if it ends in between,
        merging it again completes it. Raises InvalidInput for rows that are no bars (`sift_minutes`
        separates them) and for newer knowledge of one, RetryLater when the file stays locked.
        """
        return self.merge_sifted(_only_bars(sift_minutes(frame)), source, known_at)

    def merge_sifted(self, rows: ArrowTable, source: str, known_at: datetime) -> MergeResult:
        """Merge the `rows` of a SiftedMinutes as `merge` does, whatever else was rejected."""
        moment = utc_naive(known_at)
        done = MergeResult(0, 0, 0)
        cuts, begin, size = _cuts(rows), 0, PART
        while begin < rows.num_rows:
            end = int(cuts[np.searchsorted(cuts, min(begin + size, rows.num_rows))])
            with self._store.write() as connection:
                started = monotonic()
                done += _merge_part(connection, rows.slice(begin, end - begin), source, moment)
            held = monotonic() - started
            size = int(min(max(size * HELD / held, size / 2, LEAST_PART), size * 2, MOST_PART))
            begin = end
        return done

    def bars(
        self,
        symbols: Sequence[str] | None = None,
        timeframe: str = "1m",
        first: date | None = None,
        last: date | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the minute frame of `symbols` (None: all), sessions in [first, last].

        `timeframe` is 1m, 5m, 15m, 1h or 1d; above 1m the regular hours alone count, and 1d is one
        bar a session that starts at its opening. With `as_of` (UTC): what was known then; of
        sessions whose minutes a retention dropped, the larger bars that had ended by then.
        Raises InvalidInput for another timeframe.
        """
        chosen = wanted(symbols, first, last) | known_then(as_of)
        size = timeframe_of(timeframe)
        if as_of is None:
            query = f"SELECT {_BAR} FROM {TABLES[size]} WHERE {_WANTED} ORDER BY symbol, ts"  # noqa: S608
            return read_frame(self._store, query, chosen)
        known = f"SELECT {_BAR} FROM ({MINUTES.known(as_of)}) WHERE {_WANTED}"  # noqa: S608
        if size == "1m":
            return read_frame(self._store, f"{known} ORDER BY symbol, ts", chosen)
        with self._store.read() as connection:
            connection.execute(f"CREATE TEMP TABLE known AS {known}", chosen)
            built = resampled(connection, "known", size, _BAR)
            found = fetch_table(connection, with_dropped(built, size), chosen)
        return as_frame(found)

    def last_complete(
        self, moments: pd.DataFrame, figure: str = "close", as_of: datetime | None = None
    ) -> pd.DataFrame:
        """Return the last bar that had ended before each moment; see `lookups.last_complete`."""
        return last_complete(self._store, moments, figure, as_of=as_of)

    def history(self) -> pd.DataFrame:
        """Return the replaced minutes with source, known_at and replaced_at (UTC)."""
        query = "SELECT * FROM bars_minute_history ORDER BY replaced_at, symbol, ts"
        return read_frame(self._store, query)

    def coverage(self, timeframe: str = "1m") -> pd.DataFrame:
        """Return one row a symbol and session: the count of bars, first and last ts."""
        table = TABLES[timeframe_of(timeframe)]
        query = (
            'SELECT symbol, session, COUNT(*) AS "count", MIN(ts) AS "first", MAX(ts) AS "last" '  # noqa: S608
            f"FROM {table} GROUP BY symbol, session ORDER BY symbol, session"
        )
        return read_frame(self._store, query)


def _only_bars(sifted: SiftedMinutes) -> ArrowTable:
    if not sifted.reasons:
        return sifted.rows
    counts = Counter(sifted.reasons).most_common()
    told = "; ".join(f"{count} because {reason}" for reason, count in counts)
    row = sifted.rejected.iloc[0]
    raise InvalidInput(
        f"{len(sifted.reasons)} rows are no one-minute bars: {told} (the first: {row['symbol']} at "
        f"{row['ts']}); put them into quarantine or correct them, nothing was merged"
    )


def _cuts(rows: ArrowTable) -> NDArray[np.int64]:
    """Return where sorted rows may be cut: whole sessions of a symbol stay together."""
    count: int = rows.num_rows
    if count <= PART:
        return np.array([count])
    session = rows.column("session").cast("int32").to_numpy()
    codes = rows.column("symbol").combine_chunks().dictionary_encode().indices.to_numpy()
    cuts = np.flatnonzero((np.diff(session) != 0) | (np.diff(codes) != 0)) + 1
    return np.append(cuts, count)


def _merge_part(
    connection: DuckDBPyConnection, staged: ArrowTable, source: str, moment: datetime
) -> MergeResult:
    """Merge one part in the open transaction."""
    connection.register("staged", staged)
    connection.execute(_SPANS)
    bounds = connection.execute(_BOUNDS).fetchone()
    inside = dict(zip(("from_symbol", "to_symbol", "first", "last"), bounds or (), strict=True))
    if not any(
        connection.execute(_ANY_KEPT.format(table=table), inside).fetchone()
        for table in ("bars_minute", "bars_session")  # of dropped minutes larger bars may be left
    ):
        connection.execute(_ADD_ALL, {"source": source, "known_at": moment})
        build_new(connection, "staged")
        return MergeResult(staged.num_rows, 0, 0)
    above, below = (rule("kept.source", source) for rule in (outranks, outranked))
    connection.execute(_DELTA.format(outranks=above, outranked=below), inside)
    counted = connection.execute(
        "SELECT count(*) FILTER (NOT revises), count(*) FILTER (revises AND NOT stays), "
        "count(*) FILTER (stays) FROM delta"
    ).fetchone()
    added, changed, kept = (int(number) for number in counted or (0, 0, 0))
    if kept:
        connection.execute("DELETE FROM delta WHERE stays")
    if changed:
        newer = connection.execute(_NEWER, {"known_at": moment}).fetchone()
        require_none_newer(newer, "bars_minute", moment)
        connection.execute(_KEEP_HISTORY, {"known_at": moment})
        connection.execute(_REVISE, {"source": source, "known_at": moment})
    if added:
        connection.execute(_ADD, {"source": source, "known_at": moment})
    if added or changed:
        rebuild(connection, "SELECT DISTINCT symbol, session FROM delta")
        refuse_older(connection, moment)
    return MergeResult(added, changed, staged.num_rows - added - changed - kept, kept)
