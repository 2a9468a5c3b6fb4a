"""What of the broker's history is still to be fetched: one row a request, so that none is lost.

A window is open until its bars are merged; then it is done, or empty when the broker has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.staging import stage

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MINUTE, FIVE_SECONDS = "1 min", "5 secs"  # bar sizes of windows, as the broker names them


class WindowState(StrEnum):
    """How far a window is."""

    OPEN = "open"
    DONE = "done"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class HistoryWindow:
    """The sessions [first, last] (New York dates) of one symbol and bar size."""

    symbol: str
    bar_size: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A window with its state, the requests so far, the bars that came, and the last trouble."""

    window: HistoryWindow
    state: WindowState
    attempts: int
    bars: int
    message: str
    changed_at: datetime


class HistoryWindows:
    """The windows of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def plan(self, windows: Sequence[HistoryWindow], at: datetime) -> int:
        """Add the windows that are not there yet, open; return how many were new."""
        count = len(windows)
        staged = stage(
            {
                "symbol": ("text", [item.symbol for item in windows]),
                "bar_size": ("text", [item.bar_size for item in windows]),
                "first_session": ("date", [item.first for item in windows]),
                "last_session": ("date", [item.last for item in windows]),
                "state": ("text", [WindowState.OPEN.value] * count),
                "attempts": ("shares", [0] * count),
                "bars": ("shares", [0] * count),
                "message": ("text", [""] * count),
                "changed_at": ("moment", [at] * count),
            }
        )
        with self._store.write() as connection:
            connection.register("staged", staged)
            row = connection.execute(
                "INSERT INTO history_windows BY NAME SELECT * FROM "
                "(SELECT DISTINCT ON (symbol, bar_size, first_session) * FROM staged) "
                "ANTI JOIN history_windows USING (symbol, bar_size, first_session)"
            ).fetchone()
        return int(row[0]) if row else 0

    def covered(self, symbol: str, bar_size: str) -> tuple[HistoryWindow, ...]:
        """Return the windows of a symbol and bar size, whatever their state, oldest first."""
        return tuple(
            row.window for row in self._rows("symbol = ? AND bar_size = ?", [symbol, bar_size])
        )

    def open(self, bar_size: str, symbols: Sequence[str]) -> tuple[WindowRow, ...]:
        """Return the open windows of `symbols`, newest sessions first, symbols in turn."""
        where = "state = 'open' AND bar_size = ? AND list_contains(?::VARCHAR[], symbol)"
        found = self._rows(where, [bar_size, list(symbols)])
        return tuple(
            sorted(found, key=lambda row: (-row.window.first.toordinal(), row.window.symbol))
        )

    def settle(
        self, window: HistoryWindow, state: WindowState, bars: int, at: datetime, message: str = ""
    ) -> None:
        """Note what a request of the window came to; OPEN leaves it to be asked for again."""
        with self._store.write() as connection:
            connection.execute(
                "UPDATE history_windows SET state = ?, bars = ?, message = ?, changed_at = ?, "
                "attempts = attempts + 1 WHERE symbol = ? AND bar_size = ? AND first_session = ?",
                [
                    *(state.value, bars, message, utc_naive(at)),
                    *(window.symbol, window.bar_size, window.first),
                ],
            )

    def reopen(self, bar_size: str, symbols: Sequence[str], first: date, last: date) -> int:
        """Open again the windows that touch [first, last], to fetch them anew; return how many."""
        with self._store.write() as connection:
            row = connection.execute(
                "UPDATE history_windows SET state = 'open' WHERE state <> 'open' "
                "AND bar_size = ? AND list_contains(?::VARCHAR[], symbol) "
                "AND first_session <= ? AND last_session >= ?",
                [bar_size, list(symbols), last, first],
            ).fetchone()
        return int(row[0]) if row else 0

    def counts(self) -> dict[tuple[str, str], int]:
        """Return the count of windows by (bar size, state)."""
        query = "SELECT bar_size, state, COUNT(*) FROM history_windows GROUP BY ALL ORDER BY ALL"
        with self._store.read() as connection:
            rows = connection.execute(query).fetchall()
        return {(str(size), str(state)): int(count) for size, state, count in rows}

    def _rows(self, where: str, values: list[object]) -> tuple[WindowRow, ...]:
        query = (
            "SELECT symbol, bar_size, first_session, last_session, state, attempts, bars, message, "  # noqa: S608
            f"changed_at FROM history_windows WHERE {where} ORDER BY symbol, first_session"
        )
        with self._store.read() as connection:
            rows = connection.execute(query, values).fetchall()
        return tuple(
            WindowRow(
                HistoryWindow(*row[:4]),
                WindowState(row[4]),
                int(row[5]),
                int(row[6]),
                str(row[7]),
                row[8].replace(tzinfo=UTC),
            )
            for row in rows
        )


def forget_windows(connection: DuckDBPyConnection, bar_size: str, before: date) -> None:
    """Forget that the sessions before a date were fetched; of a window it cuts, the rest is kept.

    Of several windows of a symbol that the date cuts one is kept; what it lacks is planned anew.
    """
    connection.execute(
        "INSERT INTO history_windows BY NAME SELECT * FROM "
        "(SELECT DISTINCT ON (symbol) * REPLACE (?::DATE AS first_session) FROM history_windows "
        "WHERE bar_size = ? AND first_session < ? AND last_session >= ? "
        "ORDER BY symbol, last_session DESC) "
        "ANTI JOIN history_windows USING (symbol, bar_size, first_session)",
        [before, bar_size, before, before],
    )
    connection.execute(
        "DELETE FROM history_windows WHERE bar_size = ? AND first_session < ?", [bar_size, before]
    )
