"""How fast the whole history comes through ib_async."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Iterator

import pandas as pd
from ib_async import IB

from bench.api_client import api_client, stocks
from bench.figures import Figure, at_least
from bench.running_gateway import RunningGateway, running_gateway
from bench.timing import seconds
from gateway.market.closes import sample_path

REPETITIONS = 3


def measure() -> Iterator[Figure]:
    """Ask for 33 years of daily bars of 20 symbols at once, as `IB.reqHistoricalDataAsync` does.

    A bar is open, high, low, close, volume, average and count, encoded as text, sent, and decoded
    to an ib_async BarData. The first time (once, not a median) the gateway makes the days' ranges
    and volumes as well, and keeps them. The rival reads the closes alone, from the csv.gz they come
    from, with pandas; its bars are counted as the gateway's.
    """
    with running_gateway() as gateway:
        served, read, bars = asyncio.run(_run(gateway))
    rival = "pandas.read_csv of the same closes"
    again, closes = bars / statistics.median(served[1:]), bars / statistics.median(read)
    yield Figure(
        "gateway.history_first", bars / served[0], "bars/s", rival, closes, at_least(0.005)
    )
    yield Figure("gateway.history", again, "bars/s", rival, closes, at_least(0.02))


async def _run(gateway: RunningGateway) -> tuple[list[float], list[float], int]:
    served: list[float] = []
    read: list[float] = []
    bars = 0
    async with api_client(gateway) as ib:
        for _ in range(REPETITIONS + 1):
            gc.collect()
            started = time.perf_counter()
            bars = await _ask(ib)
            served.append(time.perf_counter() - started)
            gc.collect()
            read.append(seconds(lambda: pd.read_csv(sample_path(), index_col=0, parse_dates=True)))
    return served, read, bars


async def _ask(ib: IB) -> int:
    answers = await asyncio.gather(
        *(
            ib.reqHistoricalDataAsync(
                contract, "", "33 Y", "1 day", "TRADES", useRTH=True, timeout=0
            )
            for contract in stocks()
        )
    )
    return sum(len(bars) for bars in answers)
