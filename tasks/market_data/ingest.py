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
from tasks.market_data.daily_reach import missing_in_front, note_reach
from tasks.market_data.restatements import (
    in_shares_of_then,
    restatement,
    split_of,
    splits_in_prices,
    stored_before,
)
from tasks.quality import BAR_COLUMNS, BarFacts, QualityReport, warm_up
from tasks.quality.gate import Admission, Batch, admit_bars, settle, split_frame

if TYPE_CHECKING:
    import pandas as pd

    from models.domain.corporate_actions import CorporateAction
    from tasks.broker.protocol import HistorySource
    from tasks.settings import Settings
    from warehouse.market import MarketWarehouse
    from warehouse.market.as_of import MergeResult

OVERLAP_SESSIONS = 5  # asked for again, so that late corrections are seen
SOURCE = "ibkr"
TABLE = "bars_daily"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one ingest did; all counts are bars.

    `failed` maps a symbol to why it has no bars, `splits` tells the splits that the broker's bars
    showed, `refetched` names symbols whose whole history was asked for again because it was
    restated by no split's ratio, `behind` those without the newest session.
    """

    symbols: tuple[str, ...]
    failed: Mapping[str, str]
    refetched: tuple[str, ...]
    splits: tuple[CorporateAction, ...]
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
    admitted = await asyncio.to_thread(_admit, warehouse, settings, batch, origin, fetched.splits)
    started = time.perf_counter()
    merged = await asyncio.to_thread(_merge, warehouse, admitted.rows, fetched, last, now)
    await asyncio.to_thread(settle, warehouse, admitted, origin)
    await asyncio.to_thread(note_reach, warehouse, fetched.whole, fetched.earliest, last, now)
    newest = batch.groupby("symbol")["session"].max()
    report = IngestReport(
        symbols=settings.universe,
        failed=fetched.failed,
        refetched=fetched.refetched,
        splits=tuple(fetched.splits.values()),
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
    splits: Mapping[str, CorporateAction]
    earliest: date
    whole: tuple[str, ...]  # symbols whose bars were asked for from `earliest` on


async def _fetch_all(
    source: HistorySource,
    warehouse: MarketWarehouse,
    settings: Settings,
    last: date,
    progress: Progress,
) -> _Fetched:
    symbols = settings.universe
    stored = warehouse.bars.last_sessions(without="sample")  # closes alone: no reason to ask less
    starts = _starts(stored, symbols)
    earliest = _years_before(last, settings.history_years)
    known = _stored_closes(warehouse, [start for start in starts.values() if start], last)
    front = missing_in_front(warehouse, symbols, earliest)
    frames: dict[str, pd.DataFrame] = {}
    failed: dict[str, str] = {}
    refetched: list[str] = []
    splits: dict[str, CorporateAction] = {}
    for number, symbol in enumerate(symbols, start=1):
        try:
            start = None if symbol in front else starts[symbol]
            frame = await source.daily_bars(symbol, start or earliest, last)
            ratio = restatement(frame, known) if starts[symbol] else None
            split = split_of(symbol, ratio, stored[symbol]) if ratio is not None else None
            if split is not None:
                splits[symbol] = split
                progress(f"{symbol}: a split, {split.ratio} for 1, from {split.ex_date} on")
            elif ratio is not None:
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
    whole = tuple(name for name in frames if name in front or starts[name] is None)
    return _Fetched(frames, failed, tuple(refetched), splits, earliest, whole)


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


def _stored_closes(
    warehouse: MarketWarehouse, starts: Sequence[date], last: date
) -> pd.Series | None:
    """Return stored closes (USD, in shares of `last`) by (symbol, session) from `starts` on."""
    if not starts:
        return None
    bars = warehouse.bars.adjusted(first=min(starts), on=last)
    return bars.set_index(["symbol", "session"])["close"]


def _merge(
    warehouse: MarketWarehouse, rows: pd.DataFrame, fetched: _Fetched, last: date, now: datetime
) -> MergeResult:
    """Record splits, and up to when the broker's prices hold them; merge in shares of then."""
    bases = warehouse.actions.bases()
    stored = warehouse.bars.last_sessions()
    through = {
        symbol: stored.get(symbol, last) if symbol not in fetched.refetched else last
        for symbol in fetched.frames
        if (symbol, SOURCE) not in bases or symbol in fetched.refetched
    }
    if through:
        warehouse.actions.set_basis(through, SOURCE, now)
    if fetched.splits:
        warehouse.actions.merge(list(fetched.splits.values()), f"{SOURCE} (inferred)", now)
    splits = splits_in_prices(warehouse, fetched.frames, SOURCE, last)
    for symbol, split in fetched.splits.items():  # a split of today is in the prices before `last`
        if split not in splits.setdefault(symbol, []):
            splits[symbol].append(split)
    held = warehouse.bars.daily(list(splits), rows["session"].min()) if splits else rows.head(0)
    return warehouse.bars.merge_daily(in_shares_of_then(rows, held, splits), SOURCE, now)


def _one_batch(frames: Sequence[pd.DataFrame], last: date) -> tuple[pd.DataFrame, int]:
    """Return all frames as one, sorted, without unfinished sessions, and how many were dropped."""
    import pandas as pd

    whole = pd.concat(frames, ignore_index=True)
    batch = whole[whole["session"] <= last]
    batch = batch.sort_values(["session", "symbol"], ignore_index=True)
    return batch[[name for name in BAR_COLUMNS if name in batch]], len(whole) - len(batch)


def _admit(
    warehouse: MarketWarehouse,
    settings: Settings,
    batch: pd.DataFrame,
    origin: Batch,
    splits: Mapping[str, CorporateAction],
) -> Admission:
    """Pass the batch through the quality gate, against the calendar and the stored bars."""
    last = last_completed_session(origin.at)
    firsts = {str(name): first for name, first in batch.groupby("symbol")["session"].min().items()}
    before = stored_before(warehouse, firsts, last, splits.values())
    earliest = min([*firsts.values(), *before["session"].tolist()], default=last)
    facts = BarFacts(
        sessions_between(earliest, last),
        before=before,
        splits=split_frame(warehouse, firsts),
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
