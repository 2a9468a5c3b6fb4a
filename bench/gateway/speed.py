"""Whether the gateway keeps the market speed that it was asked for."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from bench.api_client import api_client, stocks
from bench.figures import Figure, at_least
from bench.running_gateway import FASTEST, RunningGateway, running_gateway
from tasks.broker.clock import GatewayClock

STRETCHES = 3
STRETCH = timedelta(hours=1)


def measure() -> Iterator[Figure]:
    """Let an hour of market time run at 3,600, ib_async following 20 symbols; take the median.

    The rival is the asked speed itself, which can't be exceeded.
    """
    with running_gateway(FASTEST) as gateway:
        moment = gateway.open_market()
        reached = asyncio.run(_run(gateway, moment))
    name = "market seconds/s"
    yield Figure("gateway.speed", reached, name, "the asked speed", FASTEST, at_least(0.9))


async def _run(gateway: RunningGateway, moment: datetime) -> float:
    speeds: list[float] = []
    clock = await GatewayClock("127.0.0.1", gateway.control_port, "bench").open()
    async with api_client(gateway) as ib:
        for contract in stocks():
            ib.reqMktData(contract)
        for _ in range(STRETCHES):
            moment += STRETCH
            started = time.perf_counter()
            await clock.sleep_until(moment)
            await ib.reqCurrentTimeAsync()
            speeds.append(STRETCH.total_seconds() / (time.perf_counter() - started))
    await clock.close()
    return statistics.median(speeds)
