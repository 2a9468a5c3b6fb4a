"""The packaged sample: closes of 20 large US companies (skfolio's S&P 500 data set).

It holds closes alone, adjusted for splits and dividends up to its last session (beside unadjusted
bars of AAPL and BAC the ratio falls with every dividend): open, high and low are taken to be the
close, and the volume is 0 shares. It holds companies that lasted, so nothing earned on it is
evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.corporate_actions import PriceBasis
from models.domain.errors import InvalidInput
from tasks.sources.protocol import PRICES, BarBatch

if TYPE_CHECKING:
    from tasks.sources.tickers import TickerBook

FILE = "datasets/data/sp500_dataset.csv.gz"


class SampleSource:
    """The daily bars of the packaged sample."""

    name = "sample"

    def __init__(self, book: TickerBook) -> None:
        self._book = book

    async def batches(self) -> AsyncIterator[BarBatch]:
        """Give all of it as one batch: 20 symbols, 8,313 sessions."""
        yield await asyncio.to_thread(self._read)

    def _read(self) -> BarBatch:
        import pandas as pd

        spec = find_spec("skfolio")  # it is not imported: that takes seconds
        folders = spec.submodule_search_locations if spec else None
        if not folders or not (Path(folders[0]) / FILE).is_file():
            raise InvalidInput(
                "skfolio's sample is not installed; run make demo, which installs it"
            )
        wide = pd.read_csv(Path(folders[0]) / FILE, index_col=0, parse_dates=True)
        days = pd.DatetimeIndex(wide.index).date
        frame = wide.set_axis(pd.Index(days, name="session")).rename_axis(columns="symbol")
        long = frame.reset_index().melt("session", value_name="close").dropna()
        for name in PRICES:
            long[name] = long["close"]
        known, foreign, reasons = self._book.resolve(long.assign(volume=0))
        return BarBatch(
            "1d",
            known,
            "the packaged sample",
            foreign,
            reasons,
            adjusted=True,
            basis=PriceBasis(max(days), max(days)),
        )
