"""How fast an order is acknowledged and filled over the socket."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ib_async import IB, Contract, MarketOrder, OrderStatus, Trade

from bench.api_client import api_client, stocks
from bench.echo import EchoClient, connect_echo, running_echo
from bench.figures import Figure, at_most
from bench.running_gateway import RunningGateway, running_gateway
from bench.timing import quantile

ORDERS = 400
WARM_UPS = 40
TARGETS = {0.5: 2.0, 0.99: 10.0}  # ms to the acknowledgement, by share of the orders
PLACED = {
    OrderStatus.PendingSubmit,
    OrderStatus.ApiPending,
}  # ib_async's own words, before any news


@dataclass(slots=True)
class Times:
    """Seconds from `placeOrder` to the first status and to the fill, and of the echo; bytes."""

    ack: list[float] = field(default_factory=list[float])
    fill: list[float] = field(default_factory=list[float])
    echo: list[float] = field(default_factory=list[float])
    request: int = 0
    reply: int = 0


def measure() -> Iterator[Figure]:
    """Place one-share market orders, one after the other, and time ib_async's own events.

    From the call of `placeOrder` to the first status that came from the gateway (ack) and to
    `filledEvent` (fill); the gateway journals each order and each fill to disk before it answers.
    The rival is a round trip, over the same loopback and in turns with the orders, to a process
    that only echoes: as many bytes as the order had, and as many back as came until the fill.
    """
    with running_gateway() as gateway:
        gateway.open_market()
        times = asyncio.run(_run(gateway))
    rival = f"asyncio TCP echo, {times.request} bytes out, {times.reply} back"
    floor, floor_99 = statistics.median(times.echo), quantile(times.echo, 0.99)
    for name, taken in (("ack", times.ack), ("fill", times.fill)):
        median, worst = statistics.median(taken) * 1e3, quantile(taken, 0.99) * 1e3
        yield Figure(f"gateway.order_{name}", median, "ms", rival, floor * 1e3, at_most(10.0))
        yield Figure(
            f"gateway.order_{name}_p99", worst, "ms", f"{rival}, p99", floor_99 * 1e3, at_most(10.0)
        )
    for share, target in TARGETS.items():
        taken_ms = quantile(times.ack, share) * 1e3
        title = f"gateway.order_ack_target_p{share * 100:g}"
        yield Figure(title, taken_ms, "ms", "the target", target, at_most(1.0))


async def _run(gateway: RunningGateway) -> Times:
    async with api_client(gateway) as ib, running_echo() as port:
        echo = await connect_echo(port)
        await _trade(ib, echo, WARM_UPS)
        times = await _trade(ib, echo, ORDERS)
        echo.transport.close()
        return times


async def _trade(ib: IB, echo: EchoClient, orders: int) -> Times:
    times = Times()
    contracts = stocks()
    for number in range(orders):
        before = ib.client.connectionStats()
        ack, fill = await _one_order(ib, contracts[number % len(contracts)])
        after = ib.client.connectionStats()
        times.ack.append(ack)
        times.fill.append(fill)
        times.request = after.numBytesSent - before.numBytesSent
        times.reply = after.numBytesRecv - before.numBytesRecv
        started = time.perf_counter()
        await echo.round_trip(times.request, times.reply)
        times.echo.append(time.perf_counter() - started)
    return times


async def _one_order(ib: IB, contract: Contract) -> tuple[float, float]:
    done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    acked: list[float] = []

    def status(trade: Trade) -> None:
        if not acked and trade.orderStatus.status not in PLACED:
            acked.append(time.perf_counter())

    def filled(_trade: Trade) -> None:
        done.set_result(time.perf_counter())

    order = MarketOrder("BUY", 1)
    started = time.perf_counter()
    trade = ib.placeOrder(contract, order)
    trade.statusEvent += status
    trade.filledEvent += filled
    end = await asyncio.wait_for(done, 10.0)
    return acked[0] - started, end - started
