"""Import files into the warehouse: bars, Lean folders, the sample, actions, universes, tickers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.instruments import Instrument
from tasks.quality.gate import Batch
from tasks.quality.imports import NO_FILES, QualityFiles
from tasks.quality.reference_gate import admit_actions
from tasks.sources.landing import LandingReport, land
from tasks.sources.tickers import TickerBook

if TYPE_CHECKING:
    from tasks.sources.files import FilePlan
    from tasks.sources.lean import LeanFolder
    from tasks.sources.protocol import BarSource
    from warehouse.market import MarketWarehouse

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did; `actions` counts changed splits and dividends, `new` are new symbols."""

    landing: LandingReport
    new: tuple[str, ...] = ()
    actions: int = 0

    @property
    def summary(self) -> str:
        """One line for people."""
        return "; ".join(line.strip() for line in self.lines)

    @property
    def lines(self) -> list[str]:
        """What the landing tells, new instruments and changed actions."""
        lines = self.landing.lines
        if self.new:
            lines.append(f"new instruments: {', '.join(self.new)}")
        return [*lines, *([f"{self.actions} corporate actions changed"] if self.actions else [])]


def import_files(
    warehouse: MarketWarehouse,
    plan: FilePlan,
    progress: Progress,
    *,
    register: bool,
    known_at: datetime | None = None,
    universe: Sequence[str] = (),
    quality: QualityFiles = NO_FILES,
) -> ImportReport:
    """Import planned bar files; symbols of `universe` are known, others only with `register`."""
    from tasks.sources.files import FileSource

    book = _book(warehouse, register=register, universe=universe)
    return _import(warehouse, FileSource(plan, book), book, known_at, progress, quality=quality)


def import_lean(
    warehouse: MarketWarehouse,
    folder: LeanFolder,
    progress: Progress,
    known_at: datetime | None = None,
    quality: QualityFiles = NO_FILES,
) -> ImportReport:
    """Import a Lean folder: daily and minute bars, and the actions that its factors stand for."""
    from tasks.sources.lean import LeanSource, read_actions

    book = _book(warehouse, register=True, universe=())
    moment = known_at or datetime.now(UTC)
    found = [action for path in folder.factors for action in read_actions(path)]
    origin = Batch("lean", f"import-lean-actions-{moment:%Y%m%dT%H%M%S}", moment)
    actions = admit_actions(warehouse, found, origin, quality.policy)
    symbols = sorted(path.stem.upper() for path in folder.factors)
    changed = warehouse.actions.replace(symbols, actions, "lean", moment) if symbols else 0
    progress(f"{len(actions)} splits and dividends of {len(symbols)} symbols")
    _tell_refused(progress, len(found) - len(actions))
    report = _import(warehouse, LeanSource(folder, book), book, moment, progress, quality=quality)
    return ImportReport(report.landing, report.new, changed)


def import_sample(
    warehouse: MarketWarehouse,
    progress: Progress,
    known_at: datetime | None = None,
    quality: QualityFiles = NO_FILES,
) -> ImportReport:
    """Import the packaged sample: real closes of 20 large US companies, 1990 to 2022."""
    from tasks.sources.sample import SampleSource

    book = _book(warehouse, register=True, universe=())
    source, moment = SampleSource(book), known_at or datetime.now(UTC)
    return _import(warehouse, source, book, moment, progress, quality=quality)


def import_table(
    warehouse: MarketWarehouse,
    kind: str,
    path: Path,
    known_at: datetime | None = None,
    *,
    progress: Progress = lambda _text: None,
    quality: QualityFiles = NO_FILES,
) -> int:
    """Import a CSV of actions, universe or tickers; return how many rows changed."""
    from tasks.sources import reference_files

    moment = known_at or datetime.now(UTC)
    if kind == "actions":
        found = reference_files.read_actions(path)
        origin = Batch(path.name, f"import-actions-{moment:%Y%m%dT%H%M%S}", moment)
        actions = admit_actions(warehouse, found, origin, quality.policy)
        _tell_refused(progress, len(found) - len(actions))
        symbols = sorted({action.symbol for action in found})
        return warehouse.actions.replace(symbols, actions, path.name, moment)
    if kind == "universe":
        members = reference_files.read_members(path)
        return warehouse.universes.set_members(members, path.name, moment)
    spans = reference_files.read_spans(path)
    known = {instrument.symbol for instrument in warehouse.instruments.all()}
    fresh = sorted({span.instrument for span in spans} - known)
    warehouse.instruments.merge([Instrument(symbol) for symbol in fresh], path.name, moment)
    return warehouse.instruments.set_spans(spans, path.name, moment)


def _tell_refused(progress: Progress, count: int) -> None:
    if count:
        progress(f"{count} are in quarantine: see `robo data quarantine list`")


def _book(warehouse: MarketWarehouse, *, register: bool, universe: Sequence[str]) -> TickerBook:
    from models.domain.instruments import SymbolSpan

    spans = warehouse.instruments.spans()
    taken = {span.symbol for span in spans}
    more = [SymbolSpan(symbol, symbol) for symbol in universe if symbol not in taken]
    return TickerBook([*spans, *more], register=register)


def _import(
    warehouse: MarketWarehouse,
    source: BarSource,
    book: TickerBook,
    known_at: datetime | None,
    progress: Progress,
    *,
    quality: QualityFiles,
) -> ImportReport:
    moment = known_at or datetime.now(UTC)
    run_id = f"import-{source.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    landing = asyncio.run(land(source, warehouse, moment, progress, run_id=run_id, quality=quality))
    known = {instrument.symbol for instrument in warehouse.instruments.all()}
    fresh = sorted(landing.symbols - known)
    warehouse.instruments.merge([Instrument(symbol) for symbol in fresh], source.name, moment)
    return ImportReport(landing, tuple(fresh))
