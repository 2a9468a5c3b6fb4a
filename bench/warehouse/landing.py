"""A million minute bars through the whole landing: sifted, judged, merged."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, at_most
from bench.timing import seconds
from bench.warehouse.validating import NOW, minute_walks
from tasks.quality.engine import warm_up
from tasks.sources.landing import land
from tasks.sources.protocol import BarBatch
from warehouse.market import MarketWarehouse

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 250_000  # rows, about what 16 MB of text hold


class _Blocks:
    """The bars in blocks, as a file source gives them."""

    name = "file"

    def __init__(self, bars: pd.DataFrame) -> None:
        self._bars = bars

    async def batches(self) -> AsyncIterator[BarBatch]:
        """Give block after block."""
        for begin in range(0, len(self._bars), BLOCK):
            yield BarBatch("1m", self._bars.iloc[begin : begin + BLOCK], f"block at {begin}")


def measure() -> Iterator[Figure]:
    """Land a million new minute bars of 20 symbols, and the same once more.

    The rival is the merge alone, of the same bars in the same run. The import of Great Expectations
    is not in it.
    """
    bars = minute_walks()
    warm_up()
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        alone = MarketWarehouse(Path(name) / "alone.duckdb")
        alone.check()
        merging = seconds(lambda: alone.minutes.merge(bars, "file", NOW))
        warehouse = MarketWarehouse(Path(name) / "landed.duckdb")
        warehouse.check()
        first = seconds(lambda: _land(warehouse, bars, "one"))
        again = seconds(lambda: _land(warehouse, bars, "two"))
    rival = "MinuteBars.merge of the same million bars, same run"
    yield Figure("warehouse.land_minutes", first, "s", rival, merging, at_most(3.0))
    yield Figure("warehouse.land_minutes_again", again, "s", rival, merging, at_most(2.0))


def _land(warehouse: MarketWarehouse, bars: pd.DataFrame, run: str) -> None:
    source = _Blocks(bars)
    report = asyncio.run(land(source, warehouse, NOW, lambda _text: None, run_id=run))
    if report.added + report.unchanged != len(bars):
        raise RuntimeError(f"the landing kept bars out: {report.summary}")
