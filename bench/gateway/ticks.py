"""How many ticks a second reach ib_async."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from ib_async import IB

from bench.api_client import api_client, stocks
from bench.figures import Figure, at_least
from bench.running_gateway import RunningGateway, running_gateway
from gateway.codec.framing import FrameReader
from tasks.broker.clock import GatewayClock

ROUNDS = 5
STEPS = 150  # advances of the clock in one round
STEP = timedelta(seconds=1)
TICKS = (b"1", b"2", b"45", b"46")  # price, size, generic, text: the first field of their messages


def measure() -> Iterator[Figure]:
    """Advance market time second by second, as fast as it goes, with 20 symbols subscribed.

    At every step the gateway sends what has changed of each symbol, so this is its whole path:
    control socket, order books, encoding, TCP, and ib_async's decoding. The rival is ib_async
    alone: the same client is fed, from memory, the very bytes of the round before.
    """
    with running_gateway() as gateway:
        moment = gateway.open_market()
        delivered, decoded = asyncio.run(_run(gateway, moment))
    yield Figure(
        "gateway.ticks",
        delivered,
        "ticks/s",
        "ib_async decoding the same bytes from memory",
        decoded,
        at_least(0.3),
    )


async def _run(gateway: RunningGateway, moment: datetime) -> tuple[float, float]:
    delivered: list[float] = []
    decoded: list[float] = []
    chunks: list[bytes] = []

    def record(chunk: bytes) -> None:
        chunks.append(chunk)

    clock = await GatewayClock("127.0.0.1", gateway.control_port, "bench").open()
    async with api_client(gateway) as ib:
        for contract in stocks():
            ib.reqMktData(contract)
        for number in range(ROUNDS + 1):
            ib.client.conn.hasData += record
            started = time.perf_counter()
            for _ in range(STEPS):
                moment += STEP
                await clock.sleep_until(moment)
            await ib.reqCurrentTimeAsync()  # all that was sent before it has been decoded
            took = time.perf_counter() - started
            ib.client.conn.hasData -= record
            ticks = _ticks(chunks)
            again = _decode(ib, chunks)
            chunks.clear()
            if number:
                delivered.append(ticks / took)
                decoded.append(ticks / again)
    await clock.close()
    return statistics.median(delivered), statistics.median(decoded)


def _decode(ib: IB, chunks: list[bytes]) -> float:
    started = time.perf_counter()
    for chunk in chunks:
        ib.client.conn.data_received(chunk)
    return time.perf_counter() - started


def _ticks(chunks: list[bytes]) -> int:
    payloads = FrameReader().feed(b"".join(chunks))
    return sum(payload.partition(b"\0")[0] in TICKS for payload in payloads)
