"""How long a client takes to connect."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator

from bench.api_client import api_client
from bench.echo import connect_echo, running_echo
from bench.figures import Figure, at_most
from bench.running_gateway import RunningGateway, running_gateway

REPETITIONS = 15
ROUND_TRIPS = 3  # handshake; start-up requests, sent together; executions, which wait for them


def measure() -> Iterator[Figure]:
    """Time `IB.connectAsync` with its defaults: handshake, positions, orders, account, executions.

    The rival opens a bare TCP connection to an echo and makes the three round trips that ib_async
    makes one after the other, 200 bytes out and 2,000 back.
    """
    with running_gateway() as gateway:
        connected, bare = asyncio.run(_run(gateway))
    yield Figure(
        "gateway.connect",
        statistics.median(connected) * 1e3,
        "ms",
        f"TCP connect and {ROUND_TRIPS} echoes",
        statistics.median(bare) * 1e3,
        at_most(20.0),
    )


async def _run(gateway: RunningGateway) -> tuple[list[float], list[float]]:
    connected: list[float] = []
    bare: list[float] = []
    async with running_echo() as port:
        for number in range(REPETITIONS + 1):
            started = time.perf_counter()
            async with api_client(gateway, client_id=1 + number):
                connected.append(time.perf_counter() - started)
            started = time.perf_counter()
            echo = await connect_echo(port)
            for _ in range(ROUND_TRIPS):
                await echo.round_trip(200, 2000)
            bare.append(time.perf_counter() - started)
            echo.transport.close()
    return connected[1:], bare[1:]
