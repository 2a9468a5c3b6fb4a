"""Bring the bars of any source into the warehouse: sift, judge, quarantine, merge, count, tell."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from tasks.quality.imports import NO_FILES, ImportGate, QualityFiles, RunQuality
from tasks.sources.daily_rows import sift_rows
from tasks.sources.protocol import TABLES, BarBatch
from tasks.sources.told_reasons import UNKNOWN_ADVICE, mostly_unknown, told, told_each

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pandas as pd

    from tasks.sources.protocol import BarSource
    from warehouse.market import MarketWarehouse
    from warehouse.market.as_of import MergeResult

MOST_REJECTED = 0.5  # of a batch; beyond it the columns are most likely not what they are taken for
ENOUGH_TO_JUDGE = 20  # rows
KEPT = "differ from the bars of a better source (broker, file, sample), which stay"


@dataclass(slots=True)
class LandingReport:
    """What came of a source; all counts are rows. `rejected` and `left_out` count by reason."""

    source: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    batches: int = 0
    rejected: Counter[str] = field(default_factory=Counter[str])
    left_out: Counter[str] = field(default_factory=Counter[str])
    symbols: set[str] = field(default_factory=set[str])
    adjusted: bool = False
    seconds: float = 0.0
    quality: RunQuality = field(default_factory=RunQuality)

    @property
    def summary(self) -> str:
        """One line for people."""
        return "; ".join(line.strip() for line in self.lines)

    @property
    def lines(self) -> list[str]:
        """What was done, what was quarantined and left out and why, and what the checks took."""
        lines = [
            f"{self.added} bars added, {self.changed} changed, {self.unchanged} unchanged from "
            f"{self.source} ({_count(len(self.symbols), 'symbol')}, "
            f"{_count(self.batches, 'batch', 'es')}, {self.seconds:.1f} s)"
        ]
        lines += [f"  quarantined: {why}" for why in told_each(self.rejected)]
        lines += [f"  left out: {count} {why}" for why, count in self.left_out.most_common()]
        return [*lines, *([self.quality.summary] if self.quality.rows else [])]


async def land(
    source: BarSource,
    warehouse: MarketWarehouse,
    known_at: datetime,
    progress: Callable[[str], None],
    *,
    run_id: str,
    now: Callable[[], datetime] | None = None,
    quality: QualityFiles = NO_FILES,
) -> LandingReport:
    """Merge every batch of a source and put what is no bar, or not to be trusted, into quarantine.

    `known_at` (UTC) is when the bars were learnt; a source that runs on gives `now` instead, which
    is asked for every batch. What was merged stays when a later batch fails, and merging it again
    changes nothing. Raises InvalidInput when most of a batch is no bars or a rule stops it, unless
    the source goes on without it, and what a source raises.
    """
    gate = ImportGate(warehouse, source.name, run_id, quality)
    report = LandingReport(source.name, quality=gate.found)
    loop = asyncio.get_running_loop()
    started = loop.time()
    moment = known_at
    try:
        async for batch in source.batches():
            moment = now() if now is not None else known_at
            place = _Place(warehouse, gate, source.name, moment, run_id)
            try:
                merged = await asyncio.to_thread(_land_one, batch, place, report)
            except InvalidInput as error:
                if batch.refused is None:
                    raise
                await asyncio.to_thread(batch.refused, error)
                progress(f"{batch.label}: refused, {error}")
                continue
            if batch.landed is not None:
                await asyncio.to_thread(batch.landed, merged)
            report.batches += 1
            report.seconds = loop.time() - started
            done = merged.added + merged.changed + merged.unchanged
            progress(f"{batch.label}: {done} bars, {merged.added} new, {merged.changed} changed")
        if (held := gate.take_held()) is not None:  # no later bar will tell more about them
            last = BarBatch("1m", held, "bars held back", adjusted=report.adjusted)
            place = _Place(warehouse, gate, source.name, moment, run_id)
            await asyncio.to_thread(_land_one, last, place, report, hold=False)
    finally:
        await asyncio.to_thread(gate.finish, moment)
    return report


@dataclass(frozen=True, slots=True)
class _Place:
    """Where rows go, and what is kept with them."""

    warehouse: MarketWarehouse
    gate: ImportGate
    source: str
    known_at: datetime
    run_id: str

    def refuse(self, table: str, rows: pd.DataFrame, reasons: tuple[str, ...]) -> None:
        self.warehouse.quarantine.add(
            table, rows, reasons, self.run_id, self.known_at, source=self.source
        )


def _land_one(
    batch: BarBatch, place: _Place, report: LandingReport, *, hold: bool = True
) -> MergeResult:
    """Bring one batch in; `hold` says that a later one may tell more about its newest bars.

    A batch that is marked as done once it has landed keeps nothing back: it would be lost if the
    run ended before the next.
    """
    table = TABLES[batch.timeframe]
    report.adjusted |= batch.adjusted
    merged, rejected, reasons, judged = _merged(batch, place, hold and batch.landed is None)
    if reasons:
        place.refuse(table, rejected, reasons)
    if batch.rejected is not None and batch.reasons:
        place.refuse(table, batch.rejected, batch.reasons)
    report.added += merged.added
    report.changed += merged.changed
    report.unchanged += merged.unchanged
    report.rejected.update([*reasons, *batch.reasons, *judged])
    report.left_out.update(batch.left_out)
    if merged.kept:
        report.left_out[KEPT] += merged.kept
    if len(batch.frame):
        report.symbols.update(str(symbol) for symbol in batch.frame["symbol"].dropna().unique())
    return merged


def _merged(
    batch: BarBatch, place: _Place, hold: bool
) -> tuple[MergeResult, pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """Sift, judge and merge a batch.

    Return what it did, the rows that the sift rejected with their reasons, and the reasons of those
    that the gate refused and has put into quarantine.
    """
    from warehouse.market.as_of import MergeResult

    if batch.frame.empty:
        _require_bars(batch, 0, ())
        return MergeResult(0, 0, 0), batch.frame, (), ()
    if batch.timeframe == "1m":
        return _merged_minutes(batch, place, hold)
    sifted = sift_rows(batch.frame, "session" if batch.timeframe == "1d" else "ts")
    _require_bars(batch, len(batch.frame), sifted.reasons)
    if batch.timeframe == "5s":  # the sift is enough: nothing is decided on them
        merged = place.warehouse.seconds.merge(sifted.rows, place.source, place.known_at)
        return merged, sifted.rejected, sifted.reasons, ()
    place.gate.require_sifted("bars_daily", sifted.reasons)
    rows, judged, admitted = sifted.rows, (), None
    if len(rows):
        admitted = place.gate.admit(
            "bars_daily", rows, place.known_at, adjusted=batch.adjusted, basis=batch.basis
        )
        rows = admitted.rows
        judged = tuple(row.reason for row in admitted.report.refused)
    if batch.basis is not None:  # before the bars, which could not be read rightly without it
        bases = dict.fromkeys((str(symbol) for symbol in rows["symbol"].unique()), batch.basis)
        place.warehouse.actions.set_bases(bases, place.source, place.known_at)
    merged = place.warehouse.bars.merge_daily(rows, place.source, place.known_at)
    if admitted is not None:
        place.gate.settle(admitted, place.known_at)
    return merged, sifted.rejected, sifted.reasons, judged


def _merged_minutes(
    batch: BarBatch, place: _Place, hold: bool
) -> tuple[MergeResult, pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    from warehouse.market.minute_rows import minute_frame, sift_minutes, without_rows

    frame = place.gate.with_held(batch.frame)
    sifted = sift_minutes(frame)
    _require_bars(batch, len(frame), sifted.reasons)
    place.gate.require_sifted("bars_minute", sifted.reasons)
    kept, judged, admitted = sifted.rows, (), None
    if kept.num_rows:
        admitted = place.gate.admit(
            "bars_minute",
            minute_frame(kept),
            place.known_at,
            adjusted=batch.adjusted,
            hold=hold,
        )
        kept = without_rows(kept, admitted.left_out)
        judged = tuple(row.reason for row in admitted.report.refused)
    merged = place.warehouse.minutes.merge_sifted(kept, place.source, place.known_at)
    if admitted is not None:
        place.gate.settle(admitted, place.known_at)
    return merged, sifted.rejected, sifted.reasons, judged


def _require_bars(batch: BarBatch, rows: int, reasons: tuple[str, ...]) -> None:
    """Raise InvalidInput when a batch is mostly refused: then nothing of it is merged."""
    bad = [*reasons, *batch.reasons]
    total = rows + len(batch.reasons)
    if total < ENOUGH_TO_JUDGE or len(bad) <= MOST_REJECTED * total:
        return
    advice = "See that the columns, the layout and the time zone are what they are taken for"
    if mostly_unknown(bad):
        advice = UNKNOWN_ADVICE
    raise InvalidInput(
        f"{batch.label}: {len(bad)} of {total} rows are no bars: {told(Counter(bad))}; nothing of "
        f"this part was merged. {advice}"
    )


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number} {what}{'' if number == 1 else plural}"
