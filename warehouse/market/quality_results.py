"""What data quality checks found, by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from warehouse.market.connection import MarketStore
from warehouse.market.staging import replace_rows, stage


@dataclass(frozen=True, slots=True)
class QualityResult:
    """One expectation's outcome; `symbol` is None when it concerns the whole table, `at` is UTC."""

    run_id: str
    table: str
    symbol: str | None
    expectation: str
    passed: bool
    observed: str
    at: datetime


class QualityResults:
    """The quality results of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def record(self, results: Sequence[QualityResult]) -> None:
        """Keep results; the same run, table, symbol and expectation are overwritten."""
        if not results:
            return
        staged = stage(
            {
                "run_id": ("text", [result.run_id for result in results]),
                "table_name": ("text", [result.table for result in results]),
                "symbol": ("text", [result.symbol or "" for result in results]),
                "expectation": ("text", [result.expectation for result in results]),
                "passed": ("flag", [result.passed for result in results]),
                "observed": ("text", [result.observed for result in results]),
                "checked_at": ("moment", [result.at for result in results]),
            }
        )
        keys = ("run_id", "table_name", "symbol", "expectation")
        replace_rows(self._store, "quality_results", staged, keys)

    def of_run(self, run_id: str) -> tuple[QualityResult, ...]:
        """Return the results of one run by table, symbol and expectation."""
        query = (
            "SELECT run_id, table_name, symbol, expectation, passed, observed, checked_at "
            "FROM quality_results WHERE run_id = ? ORDER BY table_name, symbol, expectation"
        )
        with self._store.read() as connection:
            rows = connection.execute(query, [run_id]).fetchall()
        return tuple(
            QualityResult(run, table, symbol or None, name, passed, seen, at.replace(tzinfo=UTC))
            for run, table, symbol, name, passed, seen, at in rows
        )
