"""Daily bars: merged idempotently, revised with a history, read as the Bars frame.

The Bars frame is long: symbol (str), session (datetime.date), open, high, low, close (float64 USD)
and volume (int64 shares), sorted by session, then symbol.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.staging import ArrowTable, arrow, fetch_table, read_frame

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

PRICES = ("open", "high", "low", "close")
COLUMNS = ("symbol", "session", *PRICES, "volume")

_DIFFERS = (
    "(kept.open, kept.high, kept.low, kept.close, kept.volume) IS DISTINCT FROM "
    "(staged.open, staged.high, staged.low, staged.close, staged.volume)"
)
_KEEP_HISTORY = (
    "INSERT INTO bars_daily_history SELECT kept.*, $known_at FROM bars_daily AS kept "  # noqa: S608
    f"JOIN staged USING (symbol, session) WHERE {_DIFFERS}"
)
_MERGE = (
    "MERGE INTO bars_daily AS kept USING staged "  # noqa: S608
    "ON kept.symbol = staged.symbol AND kept.session = staged.session "
    f"WHEN MATCHED AND {_DIFFERS} THEN UPDATE SET open = staged.open, high = staged.high, "
    "low = staged.low, close = staged.close, volume = staged.volume, source = $source, "
    "known_at = $known_at WHEN NOT MATCHED THEN INSERT (symbol, session, open, high, low, close, "
    "volume, source, known_at) VALUES (staged.symbol, staged.session, staged.open, staged.high, "
    "staged.low, staged.close, staged.volume, $source, $known_at)"
)
_DAILY = (
    "SELECT symbol, session, open, high, low, close, volume FROM bars_daily "
    "WHERE ($symbols IS NULL OR list_contains($symbols::VARCHAR[], symbol)) "
    "AND ($first::DATE IS NULL OR session >= $first) "
    "AND ($last::DATE IS NULL OR session <= $last) ORDER BY session, symbol"
)
_COVERAGE = (
    'SELECT symbol, MIN(session) AS "first", MAX(session) AS "last", COUNT(*) AS "count" '
    "FROM bars_daily GROUP BY symbol ORDER BY symbol"
)


@dataclass(frozen=True, slots=True)
class MergeResult:
    """How many bars a merge added, changed (revisions) and found as they were."""

    added: int
    changed: int
    unchanged: int


class DailyBars:
    """The daily bars of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def merge_daily(self, frame: pd.DataFrame, source: str, known_at: datetime) -> MergeResult:
        """Merge a Bars frame (any row order) and count what it did; twice is as good as once.

        A bar with other values replaces the stored one, which goes to bars_daily_history.
        `known_at` is when the bars were learnt (UTC). Raises InvalidInput for missing columns,
        missing values or a bar given twice; RetryLater when the file stays locked.
        """
        staged = _staged(frame)
        moment = utc_naive(known_at)
        if staged.num_rows == 0:
            return MergeResult(0, 0, 0)
        with self._store.write() as connection:
            connection.register("staged", staged)
            before = _count(connection, "SELECT COUNT(*) FROM bars_daily")
            revised = connection.execute(_KEEP_HISTORY, {"known_at": moment}).fetchone()
            changed = int(revised[0]) if revised else 0
            connection.execute(_MERGE, {"source": source, "known_at": moment})
            added = _count(connection, "SELECT COUNT(*) FROM bars_daily") - before
        return MergeResult(added, changed, staged.num_rows - added - changed)

    def daily(
        self,
        symbols: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pd.DataFrame:
        """Return the Bars frame of `symbols` (None: all) with sessions in [first, last]."""
        wanted = {
            "symbols": None if symbols is None else list(symbols),
            "first": first,
            "last": last,
        }
        return read_frame(self._store, _DAILY, wanted)

    def history(self) -> pd.DataFrame:
        """Return the replaced rows in Bars columns with source, known_at and replaced_at (UTC)."""
        query = "SELECT * FROM bars_daily_history ORDER BY replaced_at, session, symbol"
        return read_frame(self._store, query)

    def coverage(self) -> pd.DataFrame:
        """Return one row a symbol: symbol, first and last session, count of bars."""
        return read_frame(self._store, _COVERAGE)

    def last_sessions(self) -> dict[str, date]:
        """Return the last stored session of every symbol."""
        query = "SELECT symbol, MAX(session) FROM bars_daily GROUP BY symbol ORDER BY symbol"
        with self._store.read() as connection:
            return {str(symbol): last for symbol, last in connection.execute(query).fetchall()}

    def last_closes(self, before: date) -> dict[str, tuple[date, float]]:
        """Return, by symbol, the last session before a date and its close in USD."""
        query = (
            "SELECT symbol, MAX(session), ARG_MAX(close, session) FROM bars_daily "
            "WHERE session < ? GROUP BY symbol ORDER BY symbol"
        )
        with self._store.read() as connection:
            rows = connection.execute(query, [before]).fetchall()
        return {str(symbol): (session, float(close)) for symbol, session, close in rows}

    def content_hash(self) -> str:
        """Return the SHA-256 of all bars; the order in which they were merged does not matter."""
        everything = {"symbols": None, "first": None, "last": None}
        with self._store.read() as connection:
            found = fetch_table(connection, _DAILY, everything)
        return _digest(found)


def _count(connection: DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _staged(frame: pd.DataFrame) -> ArrowTable:
    pa = arrow()
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidInput(
            f"the bars lack {', '.join(missing)}; give the columns {', '.join(COLUMNS)}"
        )
    rows = frame.loc[:, list(COLUMNS)]
    holes = [name for name in COLUMNS if bool(rows[name].isna().any())]
    if holes:
        raise InvalidInput(f"the bars have empty values in {', '.join(holes)}; drop those rows")
    twice = rows.loc[rows.duplicated(["symbol", "session"]), ["symbol", "session"]]
    if len(twice):
        symbol, session = twice.iloc[0]
        raise InvalidInput(f"the bar of {symbol} on {session} is given twice; keep one of them")
    kinds: list[tuple[str, Any]] = [("symbol", pa.string()), ("session", pa.date32())]
    kinds += [(name, pa.float64()) for name in PRICES] + [("volume", pa.int64())]
    try:
        return pa.Table.from_pandas(rows, schema=pa.schema(kinds), preserve_index=False)
    except (pa.ArrowException, TypeError) as error:
        raise InvalidInput(
            f"the bars hold a value of the wrong kind ({error}); give text symbols, "
            "datetime.date sessions, float prices and whole volumes"
        ) from error


def _digest(bars: ArrowTable) -> str:
    digest = hashlib.sha256()
    for name in COLUMNS:
        column = bars.column(name)
        if name == "symbol":
            digest.update("\n".join(column.to_pylist()).encode())
        elif name in PRICES:
            digest.update(column.to_numpy().astype("<f8").tobytes())
        else:
            kind = "int32" if name == "session" else "int64"
            digest.update(column.cast(kind).to_numpy().astype("<i8").tobytes())
        digest.update(b"\0")
    return digest.hexdigest()
