"""Bars from CSV and Parquet files: one for each symbol, one long one, or a wide one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.corporate_actions import PriceBasis
from models.domain.errors import InvalidInput
from tasks.sources.file_reader import bar_files, blocks, first_rows, header_of, symbol_of
from tasks.sources.file_rows import BlockReader, texts_of
from tasks.sources.file_times import TimeForm, guess_times, read_times
from tasks.sources.layouts import Columns, Layout, describe_columns, guess_columns
from tasks.sources.protocol import BarBatch, Timeframe

if TYPE_CHECKING:
    import pandas as pd

    from tasks.sources.tickers import TickerBook

TOTAL = "splits+dividends"
ADJUSTED = ("splits", TOTAL)
MINUTE, DAY = 60.0, 72_000.0  # seconds between bars; a day may be as short as 20 hours


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What a person states about files; None is left to be guessed. `known_at` is handled apart."""

    layout: Layout | None = None
    overrides: Mapping[str, str] | None = None
    zone: str | None = None
    timeframe: Timeframe | None = None
    symbol: str | None = None
    time_format: str | None = None
    adjusted: str | None = None  # one of ADJUSTED
    adjusted_through: date | None = None

    @property
    def basis(self) -> PriceBasis | None:
        """What is stated to be in the prices."""
        if self.adjusted is None or self.adjusted_through is None:
            return None
        is_total = self.adjusted == TOTAL
        return PriceBasis(self.adjusted_through, self.adjusted_through if is_total else None)


@dataclass(frozen=True, slots=True)
class FilePlan:
    """How files will be read, to be shown before anything is."""

    files: tuple[Path, ...]
    columns: Columns
    times: TimeForm
    timeframe: Timeframe
    options: FileOptions

    @property
    def lines(self) -> list[str]:
        """What is taken for what, for people."""
        size = sum(file.stat().st_size for file in self.files)
        many = "" if len(self.files) == 1 else f" and {len(self.files) - 1} more"
        return [
            f"file      {self.files[0].name}{many}, {size / 1e6:,.1f} MB",
            *describe_columns(self.columns),
            f"times     {self.times.text}",
            f"bars      of {self.timeframe}",
            f"prices    {_told_basis(self.options)}",
        ]


def plan_import(path: Path, options: FileOptions) -> FilePlan:
    """Look at the first rows and say how the files will be read.

    Raises InvalidInput for missing columns, an unknown form of time, minute bars without a time
    zone, and bars of another size than one minute or one day.
    """
    files = bar_files(path)
    first, *others = files
    columns = guess_columns(header_of(first), first, options.layout, options.overrides)
    if options.symbol and others:
        raise InvalidInput(f"--symbol names one symbol, and {path} has {len(files)} files")
    sample = first_rows(first, columns.needed)
    texts = texts_of(sample, columns)
    times = guess_times(texts.tolist(), options.zone, options.time_format)
    symbols = sample.column(columns.roles["symbol"]).to_pylist() if columns.layout == "long" else []
    timeframe: Timeframe = options.timeframe or _timeframe(texts, symbols, times)
    if timeframe != "1d" and not times.aware and times.zone is None:
        raise InvalidInput(
            f"the times of {first.name} have no time zone (the first is {texts.iloc[0]!r}); "
            "state it, as in --timezone America/New_York"
        )
    if options.adjusted and timeframe != "1d":
        raise InvalidInput(
            f"--adjusted is for daily bars, {first.name} has bars of {timeframe}: minutes are kept "
            "as they were traded; import unadjusted ones, and the splits by robo ingest actions"
        )
    return FilePlan(files, columns, times, timeframe, options)


def _told_basis(options: FileOptions) -> str:
    if options.basis is None:
        return "as they were traded (--adjusted splits or splits+dividends where they are not)"
    return f"adjusted by their source for {options.adjusted} to {options.adjusted_through}"


def _timeframe(texts: pd.Series, symbols: list[Any], times: TimeForm) -> Timeframe:
    """Tell the size of bars by the smallest step between a symbol's times."""
    import pandas as pd

    moments, _ = read_times(texts, times)
    names = symbols or [""] * len(moments)
    usual = pd.DataFrame({"symbol": names, "at": moments}).dropna().sort_values(["symbol", "at"])
    steps = usual.groupby("symbol")["at"].diff().dt.total_seconds()
    steps = steps[steps > 0]
    smallest = float(steps.min()) if len(steps) else DAY
    if smallest >= DAY:
        return "1d"
    if smallest == MINUTE:
        return "1m"
    raise InvalidInput(
        f"the bars seem to be {smallest:g} s long; import those of one minute (1m) or a day (1d): "
        "larger ones are built from minutes. If the file has one-minute bars, say --timeframe 1m"
    )


class FileSource:
    """The bars of planned files; unknown symbols are the ticker book's affair."""

    def __init__(self, plan: FilePlan, book: TickerBook, name: str = "file") -> None:
        """Name the source after what is in its prices, so that each bar keeps its own basis."""
        self._plan = plan
        self._book = book
        options = plan.options
        through = f" ({options.adjusted} to {options.adjusted_through})" if options.basis else ""
        self._name = f"{name}{through}"

    @property
    def name(self) -> str:
        """What the bars' column `source` says."""
        return self._name

    async def batches(self) -> AsyncIterator[BarBatch]:
        """Give the bars block by block; a block of text is 16 MB."""
        whole = sum(file.stat().st_size for file in self._plan.files)
        for number, file in enumerate(self._plan.files, start=1):
            iterator = self._of_file(file)
            rows, block = 0, 0
            while (batch := await asyncio.to_thread(next, iterator, None)) is not None:
                block += 1
                rows += len(batch.frame) + len(batch.reasons)
                label = f"{file.name} ({number} of {len(self._plan.files)}, {whole / 1e6:,.0f} MB)"
                basis = self._plan.options.basis
                told = f"{label}, part {block}, {rows} rows read"
                yield replace(batch, label=told, adjusted=basis is not None, basis=basis)

    def _of_file(self, file: Path) -> Iterator[BarBatch]:
        options = self._plan.options
        header = header_of(file)
        columns = guess_columns(header, file, self._plan.columns.layout, options.overrides)
        symbol = options.symbol or symbol_of(file)
        reader = BlockReader(columns, self._plan.times, self._plan.timeframe, symbol.upper())
        for table in blocks(file, columns.needed):
            yield reader.batch(table, self._book)
