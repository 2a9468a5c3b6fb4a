"""Judge what is stored already: after file imports, a change of the rules, or in doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.domain.sessions import sessions_between
from tasks.quality.bars import BarFacts
from tasks.quality.batches import validate_bars
from tasks.quality.gate import Batch, record_results, split_frame
from tasks.quality.report import QualityReport
from tasks.quality.scoring import score_counts

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from warehouse.market import MarketWarehouse

TABLES = ("bars_daily", "bars_minute")


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """The verdict on the stored bars of one symbol, and the first rows that a rule is against.

    `rows` are labels of bars, or of runs of them, with the reason; they stay where they are.
    """

    symbol: str
    report: QualityReport
    rows: tuple[tuple[str, str], ...]


def check_stored(
    warehouse: MarketWarehouse,
    table: str,
    symbols: Sequence[str] | None,
    batch: Batch,
    progress: Callable[[str], None],
    *,
    policy: Path | None = None,
    docs: Path | None = None,
) -> list[StoredCheck]:
    """Run the suite of bars_daily or bars_minute on the stored bars, one symbol after the other.

    Results (under `batch.run_id`) and the score of each day are recorded; nothing is moved. Raises
    InvalidInput for another table, or symbols without bars.
    """
    if table not in TABLES:
        raise InvalidInput(f"there are no stored bars called {table}; give {' or '.join(TABLES)}")
    daily = table == "bars_daily"
    coverage = warehouse.bars.coverage() if daily else warehouse.minutes.coverage()
    there = sorted(set(coverage["symbol"].astype(str)))
    wanted = list(symbols) if symbols else there
    if unknown := sorted(set(wanted) - set(there)):
        raise InvalidInput(f"{table} has no bars of {', '.join(unknown)}; see `robo data list`")
    adjusted = {symbol for symbol, _ in warehouse.actions.bases()}
    done: list[StoredCheck] = []
    for symbol in wanted:
        bars = warehouse.bars.daily([symbol]) if daily else warehouse.minutes.bars([symbol])
        sessions = sessions_between(bars["session"].min(), bars["session"].max())
        facts = BarFacts(
            sessions, splits=split_frame(warehouse, [symbol]), adjusted=symbol in adjusted
        )
        report = validate_bars(table, bars, facts, policy=policy, docs=docs)
        record_results(warehouse, report, batch, symbol)
        scores = score_counts(table, bars, report, sessions)
        warehouse.scores.record(table, scores, batch.run_id, batch.at)
        done.append(StoredCheck(symbol, report, _rows(bars, report, daily)))
        against = f"{len(report.refused):,} against a rule, {len(report.warned):,} with a warning"
        progress(f"{symbol}: {len(bars):,} bars, {against} ({report.seconds:.2f} s)")
    return done


def _rows(bars: pd.DataFrame, report: QualityReport, daily: bool) -> tuple[tuple[str, str], ...]:
    """Return a label and reason for each run of neighbouring rows with one reason."""
    labels = bars["session" if daily else "ts"]
    runs: list[tuple[int, int, str]] = []
    for row in report.refused:
        if runs and runs[-1][1] == row.position - 1 and runs[-1][2] == row.reason:
            runs[-1] = (runs[-1][0], row.position, row.reason)
        else:
            runs.append((row.position, row.position, row.reason))
    told: list[tuple[str, str]] = []
    for first, last, reason in runs:
        label = str(labels.iloc[first])
        more = f" to {labels.iloc[last]} ({last - first + 1:,} bars)" if last > first else ""
        told.append((f"{label}{more}", reason))
    return tuple(told)
