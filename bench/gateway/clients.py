"""How long an order takes while eight clients trade at once."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

from ib_async import IB, MarketOrder, Trade

from bench.api_client import api_client, stocks
from bench.figures import Figure, at_most
from bench.running_gateway import RunningGateway, running_gateway

CLIENTS = 8
ORDERS = 40  # of each client, one after the other


def measure() -> Iterator[Figure]:
    """Let eight clients trade at once, each its next order once the last has filled.

    The rival is one client alone on the same gateway: seconds an order of all clients together,
    so that a ratio of 1 means that the others cost nothing.
    """
    with running_gateway() as gateway:
        gateway.open_market()
        together, alone = asyncio.run(_run(gateway))
    yield Figure(
        "gateway.eight_clients",
        together * 1e3,
        "ms an order, all together",
        "one client alone",
        alone * 1e3,
        at_most(1.5),
    )


async def _run(gateway: RunningGateway) -> tuple[float, float]:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(api_client(gateway, client_id=1 + number))
            for number in range(CLIENTS)
        ]
        await _trade(clients[0], 0)
        alone: list[float] = []
        together: list[float] = []
        for _ in range(3):
            started = time.perf_counter()
            await _trade(clients[0], 0)
            alone.append((time.perf_counter() - started) / ORDERS)
            started = time.perf_counter()
            await asyncio.gather(*(_trade(ib, number) for number, ib in enumerate(clients)))
            together.append((time.perf_counter() - started) / (ORDERS * CLIENTS))
        return statistics.median(together), statistics.median(alone)


async def _trade(ib: IB, number: int) -> None:
    contracts = stocks()
    for turn in range(ORDERS):
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def filled(_trade: Trade, done: asyncio.Future[None] = done) -> None:
            done.set_result(None)

        trade = ib.placeOrder(contracts[(number + turn) % 20], MarketOrder("BUY", 1))
        trade.filledEvent += filled
        await asyncio.wait_for(done, 10.0)
