"""Daily bars: merged idempotently, revised with a history, read as the Bars frame.

The Bars frame is long: symbol (str), session (datetime.date), open, high, low, close (float64 USD)
and volume (int64 shares), sorted by session, then symbol.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from models.domain.corporate_actions import ActionKind, Adjustment, CorporateAction
from models.domain.errors import InvalidInput
from warehouse.market.as_of import MergeResult, VersionedTable
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.corporate_actions import read_actions, read_bases
from warehouse.market.matrix import spread
from warehouse.market.selection import known_then, of_days, wanted
from warehouse.market.staging import (
    ArrowTable,
    arrow,
    as_frame,
    fetch_frame,
    fetch_table,
    read_frame,
    stage,
)

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

PRICES = ("open", "high", "low", "close")
COLUMNS = ("symbol", "session", *PRICES, "volume")

BARS = VersionedTable("bars_daily", ("symbol", "session"), (*PRICES, "volume"), ranked=True)
_CHOSEN = f"WHERE {of_days('session')} ORDER BY session, symbol"
_SHOWN = "symbol, session, open, high, low, close, volume"
_DAILY = f"SELECT {_SHOWN} FROM bars_daily {_CHOSEN}"  # noqa: S608
_WEIGHING = (
    "SELECT DISTINCT told.symbol, told.session, told.close, told.source FROM paid ASOF JOIN "
    "(SELECT symbol, session, close, source FROM ({known}) WHERE session > $after) AS told "
    "ON paid.symbol = told.symbol AND paid.ex_date > told.session"
)
_COVERAGE = (
    'SELECT symbol, MIN(session) AS "first", MAX(session) AS "last", COUNT(*) AS "count" '
    "FROM bars_daily GROUP BY symbol ORDER BY symbol"
)


class DailyBars:
    """The daily bars of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def merge_daily(self, frame: pd.DataFrame, source: str, known_at: datetime) -> MergeResult:
        """Merge a Bars frame (any row order) and count what it did; twice is as good as once.

        A bar with other values replaces the stored one, which goes to bars_daily_history, unless
        that is a better source's (`ranking`).
        `known_at` is when the bars were learnt (UTC). Raises InvalidInput for missing columns,
        missing values, a bar given twice or newer knowledge of one; RetryLater when the file stays
        locked.
        """
        staged = _staged(frame)
        moment = utc_naive(known_at)
        with self._store.write() as connection:
            return BARS.merge(connection, staged, source, moment)

    def daily(
        self,
        symbols: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the Bars frame of `symbols` (None: all) with sessions in [first, last].

        `as_of` (UTC; None: now) gives the bars as they were known then.
        """
        arrow()
        with self._store.read() as connection:
            found = _read(connection, symbols, first, last, as_of)
        return as_frame(found.select(list(COLUMNS)))

    def matrix(
        self,
        figure: str = "close",
        symbols: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return one figure of the bars, a row a session and a column a symbol, both sorted.

        `figure` is open, high, low, close (USD) or volume (shares); NaN where there is no bar.
        """
        if figure not in COLUMNS[2:]:
            raise InvalidInput(f"bars have no {figure!r}; choose one of {', '.join(COLUMNS[2:])}")
        arrow()
        with self._store.read() as connection:
            found = _read(connection, symbols, first, last, as_of)
        return spread(found, figure)

    def adjusted(
        self,
        symbols: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        *,
        on: date,
        adjustment: Adjustment = Adjustment.SPLITS,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the Bars frame in shares of the date `on`; the stored bars stay as they are.

        `adjustment` says what is made up for; an action counts from its ex-date on, and when it was
        known at `as_of` (UTC; None: now), as the bars were. What a bar is adjusted by does not
        depend on `first` and `last`.
        """
        from models.features.adjustment import adjust_bars

        with self._store.read() as connection:
            bars = as_frame(_read(connection, symbols, first, last, as_of))
            actions = read_actions(connection, symbols, as_of)
            bases = read_bases(connection, as_of)
            weighing = None if last is None else _weighing(connection, actions, last, as_of)
        return adjust_bars(bars, actions, bases, on, adjustment, weighing=weighing)[list(COLUMNS)]

    def weighing(self, actions: Sequence[CorporateAction], after: date) -> pd.DataFrame | None:
        """Return the bars that weigh the dividends with ex-dates later than `after`.

        These are the last ones before each ex-date (symbol, session, close, source), as far as they
        are later than `after`; None without such dividends.
        """
        with self._store.read() as connection:
            return _weighing(connection, actions, after, None)

    def sources(self) -> dict[tuple[str, str], int]:
        """Return the count of bars by (symbol, source)."""
        query = "SELECT symbol, source, COUNT(*) FROM bars_daily GROUP BY ALL ORDER BY ALL"
        with self._store.read() as connection:
            rows = connection.execute(query).fetchall()
        return {(str(symbol), str(source)): int(count) for symbol, source, count in rows}

    def history(self) -> pd.DataFrame:
        """Return the replaced rows in Bars columns with source, known_at and replaced_at (UTC)."""
        query = "SELECT * FROM bars_daily_history ORDER BY replaced_at, session, symbol"
        return read_frame(self._store, query)

    def coverage(self) -> pd.DataFrame:
        """Return one row a symbol: symbol, first and last session, count of bars."""
        return read_frame(self._store, _COVERAGE)

    def last_sessions(self, *, without: str = "") -> dict[str, date]:
        """Return the last stored session of every symbol, bars of the source `without` left out."""
        return self._end_sessions("MAX", without)

    def first_sessions(self, *, without: str = "") -> dict[str, date]:
        """Return the first stored session of every symbol, bars of `without` left out."""
        return self._end_sessions("MIN", without)

    def _end_sessions(self, end: str, without: str) -> dict[str, date]:
        query = (
            f"SELECT symbol, {end}(session) FROM bars_daily WHERE source <> ? "  # noqa: S608
            "GROUP BY symbol ORDER BY symbol"
        )
        with self._store.read() as connection:
            rows = connection.execute(query, [without]).fetchall()
        return {str(symbol): session for symbol, session in rows}

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
        everything = wanted(None, None, None)
        with self._store.read() as connection:
            found = fetch_table(connection, _DAILY, everything)
        return _digest(found)


def _read(
    connection: DuckDBPyConnection,
    symbols: Sequence[str] | None,
    first: date | None,
    last: date | None,
    as_of: datetime | None,
) -> ArrowTable:
    """Return the columns of the Bars frame and the source of each bar."""
    query = f"SELECT {_SHOWN}, source FROM ({BARS.known(as_of)}) {_CHOSEN}"  # noqa: S608
    return fetch_table(connection, query, wanted(symbols, first, last) | known_then(as_of))


def _weighing(
    connection: DuckDBPyConnection,
    actions: Sequence[CorporateAction],
    after: date,
    as_of: datetime | None,
) -> pd.DataFrame | None:
    paid = [a for a in actions if a.kind is ActionKind.DIVIDEND and a.ex_date > after]
    if not paid:
        return None
    symbols, days = [action.symbol for action in paid], [action.ex_date for action in paid]
    connection.register("paid", stage({"symbol": ("text", symbols), "ex_date": ("date", days)}))
    query = _WEIGHING.format(known=BARS.known(as_of))
    return fetch_frame(connection, query, {"after": after} | known_then(as_of))


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
