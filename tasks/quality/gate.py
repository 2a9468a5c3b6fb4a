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
    from warehouse.market.quarantine import WaitingRow


@dataclass(frozen=True, slots=True)
class Admission:
    """What the gate let in: the rows to merge, the verdict, and how many rows are quarantined.

    `quarantined` are the rows kept out, `new` those of them that were not in quarantine before,
    `passed` the ids of rows of earlier quarantines that pass now: `settle` marks them as released
    once they are merged. `left_out` are the places in
    the given frame of rows that are not to be merged: the quarantined ones, and those `held`
    back until a later bar shows whether they are right.
    """

    rows: pd.DataFrame
    report: QualityReport
    quarantined: int
    new: int
    passed: tuple[str, ...] = ()
    left_out: tuple[int, ...] = ()
    held: int = 0


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
    waiting = waiting_rows(warehouse, table)
    return keep_out(warehouse, rows, report, facts, batch, waiting=waiting)


def keep_out(
    warehouse: MarketWarehouse,
    rows: pd.DataFrame,
    report: QualityReport,
    facts: BarFacts,
    batch: Batch,
    *,
    waiting: dict[str, WaitingRow],
) -> Admission:
    """Quarantine what a report refuses of `rows`, score the days, and return the rest.

    `waiting` are the rows that earlier runs refused, by id; those that pass now are taken out of
    it.
    """
    table = report.table
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
    return Admission(good, report, len(refused), new, _passed(table, good, waiting))


def settle(warehouse: MarketWarehouse, admitted: Admission, batch: Batch) -> int:
    """Mark what passed of earlier quarantines as released, now that it is merged; count it."""
    if not admitted.passed:
        return 0
    reason = f"the same row passed every check in {batch.run_id}"
    return warehouse.quarantine.mark_released(admitted.passed, "robo", reason, batch.at)


def waiting_rows(warehouse: MarketWarehouse, table: str) -> dict[str, WaitingRow]:
    """Return the refused rows of `table` that nobody has let in, by id."""
    return {row.id: row for row in warehouse.quarantine.waiting(table)}


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
    facts = minute_facts(warehouse, frame, batch, adjusted=adjusted)
    return admit_bars(warehouse, "bars_minute", frame, facts, batch, policy=policy, docs=docs)


def minute_facts(
    warehouse: MarketWarehouse, frame: pd.DataFrame, batch: Batch, *, adjusted: bool
) -> BarFacts:
    """Return what one-minute bars (ts with a timezone) are judged against."""
    import pandas as pd

    if not {"symbol", "ts"} <= set(frame.columns):
        return BarFacts((), adjusted=adjusted)
    stamps = pd.to_datetime(frame["ts"], utc=True)
    starts = stamps.groupby(frame["symbol"], observed=True).min().dropna()
    firsts = {str(name): first.to_pydatetime() for name, first in starts.items()}
    if not firsts:
        return BarFacts((), adjusted=adjusted)
    symbols = list(firsts)
    first, last = min(firsts.values()), stamps.max()
    before = warehouse.context.before_minutes(firsts)
    earliest: datetime = first
    if len(before):
        earliest = min(first, before["ts"].min().to_pydatetime())
    begin, end = exchange_date(earliest), min(exchange_date(last), exchange_date(batch.at))
    return BarFacts(
        sessions_between(begin, end) if begin <= end else (),
        before=before,
        splits=split_frame(warehouse, symbols),
        other=warehouse.context.other_minutes(symbols, first, last.to_pydatetime(), batch.source),
        adjusted=adjusted,
        until=batch.at,
    )


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


def _passed(table: str, good: pd.DataFrame, waiting: dict[str, WaitingRow]) -> tuple[str, ...]:
    """Take out of `waiting` the rows that are among the good ones now; return their ids."""
    import pandas as pd

    from warehouse.market.quarantine import contents_of, row_id

    if not waiting:
        return ()
    symbols = {row.symbol for row in waiting.values()}
    candidates = good[good["symbol"].isin(symbols)]
    key = "session" if "session" in good else "ts"
    moments = {row.moment.replace(tzinfo=None) for row in waiting.values() if row.moment}
    times = pd.to_datetime(candidates[key], utc=True).dt.tz_localize(None)
    candidates = candidates[times.isin(list(moments)).to_numpy()]
    found = [row_id(table, content) for content in contents_of(candidates)]
    return tuple(name for name in found if waiting.pop(name, None) is not None)


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
