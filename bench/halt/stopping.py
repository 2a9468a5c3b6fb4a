"""How long it takes to stop: from the command's start, and in a process that runs already."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from bench.figures import Figure, at_most
from bench.running_gateway import RunningGateway, running_gateway
from models.domain.orders import ChildOrder, Side
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import ApiAddress, OrderStatus
from tasks.halts.halting import HaltOrder, halt_trading
from tasks.settings import Settings, load_settings
from tasks.stores import open_ledger

RUNS = 5
ORDERS = 20
COMMAND = [sys.executable, "-m", "flows.cli", "halt", "--reason", "bench"]
LIMIT, BLOCK_LIMIT = 1.0, 0.25  # seconds: the limits that the system sets itself


def measure() -> Iterator[Figure]:
    """Stop a client with 20 working orders, 5 times each way; medians against the stated limits.

    `command` counts from the start of a cold `robo halt` process, `call` from the call in a
    process that has everything imported (the Prefect deployment, SIGUSR1 to a session). Blocked:
    the halt is committed, and no intent can be any more. Cancelled: the owner of the orders has
    been told of the end of the last. Raises RuntimeError when an order is left.
    """
    with running_gateway() as gateway:
        gateway.open_market()
        settings = _settings(gateway)
        with open_ledger(settings):
            pass
        command = [asyncio.run(_stop(settings, cold=True)) for _ in range(RUNS)]
        call = [asyncio.run(_stop(settings, cold=False)) for _ in range(RUNS)]
    for name, runs in (("command", command), ("call", call)):
        blocked, cancelled = (statistics.median(column) for column in zip(*runs, strict=True))
        limit = LIMIT if name == "command" else BLOCK_LIMIT
        yield Figure(f"halt.{name}.blocked", blocked, "s", "the limit", limit, at_most(1.0))
        yield Figure(f"halt.{name}.cancelled", cancelled, "s", "the limit", LIMIT, at_most(1.0))


async def _stop(settings: Settings, *, cold: bool) -> tuple[float, float]:
    """Return the seconds until blocked and until the last order's end was told."""
    there = ApiAddress(settings.host, settings.port, settings.client_id)
    link = await OrderConnection.open(there, settings.broker_timeout)
    try:
        await _place(link)
        before, started = time.time(), time.perf_counter()
        acting = asyncio.create_task(asyncio.to_thread(_command if cold else _call, settings))
        left = ORDERS
        while left:
            ended = [e for e in link.pending_events() if isinstance(e, OrderStatus) and e.is_over]
            left -= len({event.order_ref for event in ended})
            if time.perf_counter() - started > 30:
                raise RuntimeError(f"{left} orders still work 30 s after a halt")
            await asyncio.sleep(0.002)
        took = time.perf_counter() - started
        await acting
    finally:
        await link.close()
    with open_ledger(settings) as ledger:
        halted: datetime = ledger.halts.history()[-1].at
    return halted.timestamp() - before, took


async def _place(link: OrderConnection) -> None:
    await link.qualify(["KO"])
    first = link.next_order_id()
    for number in range(ORDERS):
        child = ChildOrder(
            f"halt{first}", number + 1, 1, "KO", Side.BUY, 10, Decimal("1.00"), "GTC"
        )
        link.send(_numbered(child, first + number))
    await link.flush()
    link.pending_events()


def _numbered(child: ChildOrder, order_id: int) -> ChildOrder:
    from dataclasses import replace

    return replace(child, order_id=order_id)


def _command(settings: Settings) -> None:
    environment = {
        "ROBO_HOME": str(settings.home),
        "ROBO_PORT": str(settings.port),
        "ROBO_CONTROL_PORT": str(settings.control_port),
    }
    subprocess.run(COMMAND, env=environment, check=True, stdout=subprocess.DEVNULL)


def _call(settings: Settings) -> None:
    done = halt_trading(settings, HaltOrder("bench", "bench"))
    if done.trouble:
        raise RuntimeError(done.trouble)


def _settings(gateway: RunningGateway) -> Settings:
    return load_settings(
        mode="simulated",
        home=gateway.folder / "home",
        host="127.0.0.1",
        port=gateway.port,
        control_port=gateway.control_port,
        account="",
        clock="gateway",
        ledger_url=f"sqlite:///{gateway.folder / 'home/var/simulated/ledger.sqlite'}",
    )
