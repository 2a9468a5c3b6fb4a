"""What 100 instruments with market depth cost at the speed of the wall clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta

from bench.api_client import api_client, watched
from bench.figures import Figure, at_most
from bench.running_gateway import RunningGateway, running_gateway
from tasks.broker.clock import GatewayClock

WATCHED = 100
SECONDS = 20.0


def measure() -> Iterator[Figure]:
    """Follow top of book and ten levels of depth of 100 stocks for 20 seconds at speed 1.

    The value is the processor time of the gateway's process by wall time; the rival is one core.
    """
    with running_gateway(1.0) as gateway:
        gateway.open_market(timedelta(seconds=5))  # at speed 1 every second is one of ours
        share = asyncio.run(_run(gateway))
    yield Figure("gateway.depth_100", share, "cores", "one core", 1.0, at_most(0.5))


async def _run(gateway: RunningGateway) -> float:
    clock = await GatewayClock("127.0.0.1", gateway.control_port, "bench").open()
    async with api_client(gateway) as ib:
        for contract in watched(WATCHED):
            ib.reqMktData(contract)
            ib.reqMktDepth(contract, 10)
        await ib.reqCurrentTimeAsync()
        moment = clock.now()
        await clock.sleep_until(moment + timedelta(seconds=2))
        used, started = gateway.processor_seconds(), time.perf_counter()
        await clock.sleep_until(moment + timedelta(seconds=2 + SECONDS))
        await ib.reqCurrentTimeAsync()
        share = (gateway.processor_seconds() - used) / (time.perf_counter() - started)
    await clock.close()
    return share
