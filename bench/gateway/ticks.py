"""How many ticks a second reach one client: one that only reads, and ib_async."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from eventkit import Event
from ib_async import IB, Contract

from bench.api_client import api_client, watched
from bench.figures import Figure, at_least
from bench.running_gateway import RunningGateway, running_gateway
from gateway.cli_faults import HOST
from gateway.codec.framing import FrameReader

ROUNDS = 5
TARGET = 60_000.0
SHARE = 0.3  # of the ticks/s that ib_async decodes with no server beside it
QUOTED, TAPED = 100, 20  # instruments: 100 is what Interactive Brokers allows by default
CURRENT_TIME = b"49\0"
Advance = Callable[[list[datetime]], Awaitable[None]]
TICKS = (b"1", b"2", b"45", b"46", b"99")  # price, size, generic, text, tick by tick


@dataclass(slots=True)
class Rates:
    """Ticks a second of each round: as they came, and decoded again from memory.

    `ticks` over `work` is ticks a second of the gateway's own processor time, which other processes
    on the machine disturb less than they disturb wall time.
    """

    delivered: list[float] = field(default_factory=list[float])
    decoded: list[float] = field(default_factory=list[float])
    ticks: int = 0
    work: float = 0.0


def measure() -> Iterator[Figure]:
    """Run market time as fast as it can be worked (`--clock step`), one client subscribed to it.

    `ticks` is top of book of 100 stocks: market time goes on by steps of one second, and at each
    the gateway sends of each stock what has changed since the last. `tick_by_tick` is every trade
    and every quote of 20 stocks, in steps of five seconds. The steps of a round are asked for at
    once, so that the gateway works the next while the client still decodes the last. It is the
    whole path: control socket, order books, encoding, TCP, and the client's side: `_read` is a
    client that cuts the stream into frames and counts them, the others are ib_async. The rival is
    ib_async alone: it is fed, from memory, the very chunks of bytes of that round.
    """
    for name, tape, step, steps in (
        ("gateway.ticks", False, timedelta(seconds=1), 60),
        ("gateway.tick_by_tick", True, timedelta(seconds=5), 60),
    ):
        with running_gateway(options=("--clock", "step")) as gateway:
            moments = _moments(gateway.open_market(), step, steps * (2 * ROUNDS + 2))
            read, kept = asyncio.run(_run(gateway, moments, steps, tape))
        for client, rates in ((f"{name}_read", read), (name, kept)):
            delivered = statistics.median(rates.delivered)
            rival = "ib_async decoding the same bytes from memory"
            decoded = statistics.median(rates.decoded)
            yield Figure(client, delivered, "ticks/s", rival, decoded, at_least(SHARE))
            goal = at_least(1.0)
            yield Figure(f"{client}_target", delivered, "ticks/s", "the target", TARGET, goal)
        unit = "ticks/s of the gateway's processor time"
        worked = (read.ticks + kept.ticks) / (read.work + kept.work)
        yield Figure(f"{name}_work", worked, unit, "the target", TARGET, at_least(1.0))


def _moments(first: datetime, step: timedelta, count: int) -> list[datetime]:
    return [first + step * number for number in range(1, count + 1)]


async def _run(
    gateway: RunningGateway, moments: list[datetime], steps: int, tape: bool
) -> tuple[Rates, Rates]:
    """Return the rates of a client that reads and of ib_async, which take turns."""
    read, kept = Rates(), Rates()
    async with api_client(gateway) as ib, held_clock(gateway) as advance:
        _subscribe(ib, tape)
        await ib.reqCurrentTimeAsync()
        for number, first in enumerate(range(0, len(moments), steps)):
            stretch, rates = moments[first : first + steps], (read, kept)[number % 2]
            chunks = list[bytes]()
            used = gateway.processor_seconds()
            if rates is read:
                took = await _read(ib, advance, stretch, chunks)
            else:
                took = await _decoded(ib, advance, stretch, chunks)
            used = gateway.processor_seconds() - used
            ticks = _ticks(chunks)
            again = _decode(ib, chunks)
            if number > 1:  # the first round of each warms up
                rates.ticks, rates.work = rates.ticks + ticks, rates.work + used
                rates.delivered.append(ticks / took)
                rates.decoded.append(ticks / again)
    return read, kept


async def _decoded(ib: IB, advance: Advance, moments: list[datetime], chunks: list[bytes]) -> float:
    """Return the seconds until ib_async has decoded all that is sent up to the last moment."""

    def record(chunk: bytes) -> None:
        chunks.append(chunk)

    ib.client.conn.hasData += record
    started = time.perf_counter()
    await advance(moments)
    await ib.reqCurrentTimeAsync()  # all that was sent before it has been decoded
    took = time.perf_counter() - started
    ib.client.conn.hasData -= record
    return took


async def _read(ib: IB, advance: Advance, moments: list[datetime], chunks: list[bytes]) -> float:
    """Return the seconds until a client that only counts frames has read up to the last moment."""
    reader, ended = FrameReader(), asyncio.Event()

    def count(chunk: bytes) -> None:
        chunks.append(chunk)
        if any(payload.startswith(CURRENT_TIME) for payload in reader.feed(chunk)):
            ended.set()

    connection = ib.client.conn
    decoding, connection.hasData = connection.hasData, Event("hasData")
    connection.hasData += count
    started = time.perf_counter()
    await advance(moments)
    ib.client.reqCurrentTime()
    await ended.wait()
    took = time.perf_counter() - started
    connection.hasData = decoding
    return took


def _subscribe(ib: IB, tape: bool) -> None:
    contracts: list[Contract] = watched(TAPED if tape else QUOTED)
    for contract in contracts:
        if tape:
            ib.reqTickByTickData(contract, "AllLast")
            ib.reqTickByTickData(contract, "BidAsk")
        else:
            ib.reqMktData(contract)


@asynccontextmanager
async def held_clock(gateway: RunningGateway) -> AsyncGenerator[Advance, None]:
    """Hold the market clock; give what lets it run to some moments, all asked for at once."""
    reader, writer = await asyncio.open_connection(HOST, gateway.control_port)

    async def ask(requests: list[dict[str, str]]) -> None:
        writer.write(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        for _ in requests:
            answer = json.loads(await reader.readline())
            if not answer["ok"]:
                raise RuntimeError(answer["error"])

    try:
        await ask([{"op": "hold", "name": "bench"}])
        yield lambda moments: ask([{"op": "advance", "to": to.isoformat()} for to in moments])
    finally:
        writer.close()


def _decode(ib: IB, chunks: list[bytes]) -> float:
    started = time.perf_counter()
    for chunk in chunks:
        ib.client.conn.data_received(chunk)
    return time.perf_counter() - started


def _ticks(chunks: list[bytes]) -> int:
    payloads = FrameReader().feed(b"".join(chunks))
    return sum(payload.partition(b"\0")[0] in TICKS for payload in payloads)
