"""Bring daily bars from the broker into the warehouse: incremental, validated, idempotent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.domain.sessions import (
    exchange_date,
    previous_session,
    session_on,
    sessions_between,
)
from tasks.quality import BAR_COLUMNS, BarFacts, QualityReport, warm_up
from tasks.quality.gate import Admission, Batch, admit_bars

if TYPE_CHECKING:
    import pandas as pd

    from tasks.broker.protocol import HistorySource
    from tasks.settings import Settings
    from warehouse.market import MarketWarehouse

OVERLAP_SESSIONS = 5  # asked for again, so that late corrections are seen
RESTATED = 0.02  # relative change of overlapping closes that tells a split from a correction
SOURCE = "ibkr"
TABLE = "bars_daily"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one ingest did; all counts are bars.

    `failed` maps a symbol to why it has no bars, `refetched` names symbols whose whole history was
    asked for again because it was restated (a split), `behind` those without the newest session.
    """

    symbols: tuple[str, ...]
    failed: Mapping[str, str]
    refetched: tuple[str, ...]
    behind: tuple[str, ...]
    fetched: int
    unfinished: int
    added: int
    changed: int
    unchanged: int
    stored: int
    first_session: date
    last_session: date
    quality: QualityReport
    quarantined: int
    merge_seconds: float

    @property
    def summary(self) -> str:
        """One line for people."""
        span = f"{self.first_session} to {self.last_session}"
        checks = self.quality.summary
        if self.added == self.changed == 0:
            return (
                f"nothing new: {self.stored} bars already there, last {self.last_session}; {checks}"
            )
        return (
            f"{self.added} bars added, {self.changed} changed, {self.unchanged} unchanged "
            f"({span}, {len(self.symbols)} symbols); {checks}"
        )


class PartlyIngested(InvalidInput):
    """Some symbols could not be ingested; `report` tells what was done for the others."""

    def __init__(self, report: IngestReport, asked_by: str) -> None:
        self.report = report
        reasons = "; ".join(f"{symbol}: {reason}" for symbol, reason in report.failed.items())
        super().__init__(
            f"{len(report.failed)} of {len(report.symbols)} symbols failed ({reasons}); the others "
            f"were ingested. Correct {asked_by} and run robo ingest again"
        )


def last_completed_session(now: datetime) -> date:
    """Return the last session whose close is not after `now` (UTC)."""
    today = exchange_date(now)
    session = session_on(today)
    if session is not None and now >= session.close:
        return today
    return previous_session(today).date


async def ingest_daily(
    source: HistorySource,
    warehouse: MarketWarehouse,
    settings: Settings,
    now: datetime,
    progress: Progress,
    *,
    run_id: str = "",
    asked_by: str = "ROBO_UNIVERSE",
) -> IngestReport:
    """Ask for what is new since the last stored session, validate it whole, and merge it.

    `now` is market time (UTC): bars of a session that has not closed by then are dropped.
    `asked_by` says where the settings' universe was given, for the errors about it.
    Raises InvalidInput when the batch fails validation (nothing is merged) or no symbol has bars,
    PartlyIngested when some symbols have none, RetryLater when the broker or warehouse is away.
    """
    warming = asyncio.create_task(asyncio.to_thread(warm_up))  # seconds, while bars arrive
    last = last_completed_session(now)
    fetched = await _fetch_all(source, warehouse, settings, last, progress)
    if not fetched.frames:
        reasons = "; ".join(f"{symbol}: {why}" for symbol, why in fetched.failed.items())
        raise InvalidInput(f"no bars for any symbol ({reasons}); correct {asked_by}")
    batch, unfinished = _one_batch(list(fetched.frames.values()), last)
    await warming
    progress(f"validating {len(batch)} bars")
    origin = Batch(SOURCE, run_id or _default_run(now), now)
    admitted = await asyncio.to_thread(_admit, warehouse, settings, batch, last, origin)
    started = time.perf_counter()
    merged = await asyncio.to_thread(warehouse.bars.merge_daily, admitted.rows, SOURCE, now)
    newest = batch.groupby("symbol")["session"].max()
    report = IngestReport(
        symbols=settings.universe,
        failed=fetched.failed,
        refetched=fetched.refetched,
        behind=tuple(sorted(str(symbol) for symbol in newest.index[newest < last])),
        fetched=len(batch) + unfinished,
        unfinished=unfinished,
        added=merged.added,
        changed=merged.changed,
        unchanged=merged.unchanged,
        stored=int(warehouse.bars.coverage()["count"].sum()),
        first_session=batch["session"].min(),
        last_session=batch["session"].max(),
        quality=admitted.report,
        quarantined=admitted.quarantined,
        merge_seconds=time.perf_counter() - started,
    )
    if report.failed:
        raise PartlyIngested(report, asked_by)
    return report


@dataclass(frozen=True, slots=True)
class _Fetched:
    frames: Mapping[str, pd.DataFrame]
    failed: Mapping[str, str]
    refetched: tuple[str, ...]


async def _fetch_all(
    source: HistorySource,
    warehouse: MarketWarehouse,
    settings: Settings,
    last: date,
    progress: Progress,
) -> _Fetched:
    symbols = settings.universe
    starts = _starts(warehouse.bars.last_sessions(), symbols)
    earliest = _years_before(last, settings.history_years)
    known = _stored_closes(warehouse, [start for start in starts.values() if start])
    frames: dict[str, pd.DataFrame] = {}
    failed: dict[str, str] = {}
    refetched: list[str] = []
    for number, symbol in enumerate(symbols, start=1):
        try:
            frame = await source.daily_bars(symbol, starts[symbol] or earliest, last)
            if starts[symbol] and _is_restated(frame, known):
                frame = await source.daily_bars(symbol, earliest, last)
                refetched.append(symbol)
        except InvalidInput as error:
            failed[symbol] = str(error)
            continue
        if frame.empty:
            failed[symbol] = f"the broker has no bars up to {last}"
            continue
        frames[symbol] = frame
        progress(f"{symbol}: {len(frame)} bars ({number} of {len(symbols)})")
    return _Fetched(frames, failed, tuple(refetched))


def _years_before(day: date, years: int) -> date:
    """Return the same day `years` earlier (28 February for a leap day)."""
    year = day.year - years
    return day.replace(year=year, day=28) if (day.month, day.day) == (2, 29) else day.replace(year)


def _starts(stored: Mapping[str, date], symbols: Sequence[str]) -> dict[str, date | None]:
    """Return the first session to ask for: None for all history of a symbol that is new."""
    starts: dict[str, date | None] = {}
    for symbol in symbols:
        start = stored.get(symbol)
        if start is not None:
            for _ in range(OVERLAP_SESSIONS):
                start = previous_session(start).date
        starts[symbol] = start
    return starts


def _stored_closes(warehouse: MarketWarehouse, starts: Sequence[date]) -> pd.Series | None:
    """Return stored closes (USD) by (symbol, session) from the earliest start on."""
    if not starts:
        return None
    return warehouse.bars.daily(first=min(starts)).set_index(["symbol", "session"])["close"]


def _is_restated(frame: pd.DataFrame, known: pd.Series | None) -> bool:
    """Say whether the overlap moved by more than a correction would: history was adjusted anew."""
    if known is None or frame.empty:
        return False
    fresh = frame.set_index(["symbol", "session"])["close"].astype(float)
    ratio = (fresh / known).reindex(fresh.index).dropna()
    return bool(len(ratio)) and abs(float(ratio.median()) - 1.0) > RESTATED


def _one_batch(frames: Sequence[pd.DataFrame], last: date) -> tuple[pd.DataFrame, int]:
    """Return all frames as one, sorted, without unfinished sessions, and how many were dropped."""
    import pandas as pd

    whole = pd.concat(frames, ignore_index=True)
    batch = whole[whole["session"] <= last]
    batch = batch.sort_values(["session", "symbol"], ignore_index=True)
    return batch[[name for name in BAR_COLUMNS if name in batch]], len(whole) - len(batch)


def _admit(
    warehouse: MarketWarehouse, settings: Settings, batch: pd.DataFrame, last: date, origin: Batch
) -> Admission:
    """Pass the batch through the quality gate, against the calendar and the stored bars."""
    firsts = {str(name): first for name, first in batch.groupby("symbol")["session"].min().items()}
    before = warehouse.context.before(firsts)
    earliest = min([*firsts.values(), *before["session"].tolist()], default=last)
    facts = BarFacts(
        sessions_between(earliest, last),
        before=before,
        other=warehouse.context.other_sources(firsts, SOURCE),
        adjusted=True,
        newest=True,
    )
    return admit_bars(
        warehouse,
        TABLE,
        batch,
        facts,
        origin,
        policy=settings.quality_path,
        docs=settings.data_docs,
    )


def _default_run(now: datetime) -> str:
    return f"ingest-{now:%Y%m%dT%H%M%S}"
