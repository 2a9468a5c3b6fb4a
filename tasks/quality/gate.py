"""The gate before every bars table: judge a batch, keep bad rows out, record what was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.sessions import exchange_date, sessions_between
from tasks.quality.bars import BarFacts
from tasks.quality.batches import validate_bars
from tasks.quality.report import QualityReport
from tasks.quality.scoring import score_counts

if TYPE_CHECKING:
    import pandas as pd

    from warehouse.market import MarketWarehouse


@dataclass(frozen=True, slots=True)
class Admission:
    """What the gate let in: the rows to merge, the verdict, and how many rows are quarantined.

    `quarantined` are the rows kept out, `new` those of them that were not in quarantine before,
    `settled` the rows of earlier quarantines that were let in now.
    """

    rows: pd.DataFrame
    report: QualityReport
    quarantined: int
    new: int
    settled: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Where a batch comes from: its source, the run that brought it, and when (UTC)."""

    source: str
    run_id: str
    at: datetime


def admit_bars(
    warehouse: MarketWarehouse,
    table: str,
    frame: pd.DataFrame,
    facts: BarFacts,
    batch: Batch,
    *,
    policy: Path | None = None,
    docs: Path | None = None,
) -> Admission:
    """Judge bars, quarantine the bad rows, and return those that may be merged.

    Rows that a person has released pass unless they break a hard rule. Results and the score of
    each symbol and day are recorded in either case. Raises InvalidInput when the whole batch is
    refused (nothing may be merged), RetryLater when the warehouse stays locked.
    """
    rows = frame.reset_index(drop=True)
    report = validate_bars(table, rows, facts, policy=policy, docs=docs)
    record_results(warehouse, report, batch)
    report.require(f"the batch for {table}", rows)
    report = _without_released(warehouse, table, rows, report)
    refused = [row.position for row in report.refused]
    new = warehouse.quarantine.add(
        table,
        rows.iloc[refused],
        [row.reason for row in report.refused],
        batch.run_id,
        batch.at,
        expectations=[row.expectation for row in report.refused],
        source=batch.source,
    )
    counts = score_counts(table, rows, report, facts.sessions)
    warehouse.scores.record(table, counts, batch.run_id, batch.at)
    good = rows.drop(index=refused).reset_index(drop=True) if refused else rows
    settled = _settle(warehouse, table, good, batch)
    return Admission(good, report, len(refused), new, settled)


def admit_minutes(
    warehouse: MarketWarehouse,
    frame: pd.DataFrame,
    batch: Batch,
    *,
    adjusted: bool = False,
    policy: Path | None = None,
    docs: Path | None = None,
) -> Admission:
    """Pass one-minute bars (MINUTE_COLUMNS, ts with a timezone) through the gate.

    `adjusted` says that the source makes up for splits itself. Raises as `admit_bars` does.
    """
    import pandas as pd

    stamps = pd.to_datetime(frame["ts"], utc=True) if "ts" in frame else pd.Series(dtype=object)
    days = [exchange_date(stamp) for stamp in (stamps.min(), stamps.max())] if len(stamps) else []
    today = exchange_date(batch.at)
    sessions = sessions_between(days[0], min(days[1], today)) if days and days[0] <= today else ()
    symbols = frame["symbol"].dropna().unique() if "symbol" in frame else []
    facts = BarFacts(
        sessions,
        splits=split_frame(warehouse, [str(symbol) for symbol in symbols]),
        adjusted=adjusted,
    )
    return admit_bars(warehouse, "bars_minute", frame, facts, batch, policy=policy, docs=docs)


def split_frame(warehouse: MarketWarehouse, symbols: Iterable[str]) -> pd.DataFrame:
    """Return the recorded splits of `symbols`: symbol, session and ratio (new for old shares)."""
    import pandas as pd

    from models.domain.corporate_actions import ActionKind

    splits = [
        (action.symbol, action.ex_date, action.value)
        for action in warehouse.actions.of(list(symbols))
        if action.kind is ActionKind.SPLIT
    ]
    return pd.DataFrame(splits, columns=["symbol", "session", "ratio"])


def _without_released(
    warehouse: MarketWarehouse, table: str, rows: pd.DataFrame, report: QualityReport
) -> QualityReport:
    """Take what a person has let through out of the refused rows."""
    from warehouse.market.quarantine import contents_of, row_id

    soft = [row for row in report.refused if not row.hard]
    released = warehouse.quarantine.released_ids(table) if soft else frozenset[str]()
    if not released:
        return report
    contents = contents_of(rows.iloc[[row.position for row in soft]])
    passed = {
        row.position
        for row, content in zip(soft, contents, strict=True)
        if row_id(table, content) in released
    }
    return replace(
        report,
        refused=tuple(row for row in report.refused if row.position not in passed),
        warned=tuple(sorted({*report.warned, *passed})),
    )


def _settle(warehouse: MarketWarehouse, table: str, good: pd.DataFrame, batch: Batch) -> int:
    """Mark waiting rows of earlier quarantines as released where the same rows pass now."""
    import pandas as pd

    from warehouse.market.quarantine import contents_of, row_id

    waiting = {row.id: row for row in warehouse.quarantine.rows(table)}
    if not waiting:
        return 0
    symbols = {row.symbol for row in waiting.values()}
    candidates = good[good["symbol"].isin(symbols)]
    key = "session" if "session" in good else "ts"
    moments = {row.moment.replace(tzinfo=None) for row in waiting.values() if row.moment}
    times = pd.to_datetime(candidates[key], utc=True).dt.tz_localize(None)
    candidates = candidates[times.isin(list(moments)).to_numpy()]
    found = [row_id(table, content) for content in contents_of(candidates)]
    ids = [name for name in found if name in waiting]
    if not ids:
        return 0
    reason = f"the same row passed every check in {batch.run_id}"
    return warehouse.quarantine.mark_released(ids, "robo", reason, batch.at)


def record_results(
    warehouse: MarketWarehouse, report: QualityReport, batch: Batch, symbol: str | None = None
) -> None:
    """Keep the outcome of every check; `symbol` where the batch is one symbol's."""
    from warehouse.market.quality_results import QualityResult

    warehouse.quality.record(
        [
            QualityResult(
                run_id=batch.run_id,
                table=report.table,
                symbol=symbol,
                expectation=check.label,
                passed=check.success,
                observed=check.exception or check.observed,
                at=batch.at,
            )
            for check in report.checks
        ]
    )
