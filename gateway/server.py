"""One gateway process: market, exchange, journal, API port and control port."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.clock import MarketClock
from gateway.control import LONGEST_LINE, ControlServer
from gateway.engine.account import Account
from gateway.engine.exchange import Exchange
from gateway.engine.journal import Journal
from gateway.faults.triggers import Trigger, read_script
from gateway.market.market import Market
from gateway.market.sources import open_source, read_choice
from gateway.options import ACCOUNT, GatewayOptions
from gateway.session.connection import Connection
from gateway.session.contracts import list_only
from gateway.session.hub import Hub
from gateway.timeline import from_micros, span_on, to_iso, to_micros
from models.domain.errors import InvalidInput, RetryLater
from models.domain.sessions import at_exchange_time

log = logging.getLogger("gateway")


@dataclass(frozen=True, slots=True)
class Ready:
    """What a gateway says of itself once it listens."""

    host: str
    port: int
    control_port: int
    now: int

    def __str__(self) -> str:
        """Return the line that is printed."""
        return (
            f"gateway ready on {self.host}:{self.port} (control {self.control_port}), account "
            f"{ACCOUNT}, market time {from_micros(self.now):%Y-%m-%d %H:%M:%S} UTC"
        )


async def serve(options: GatewayOptions, ready: Callable[[Ready], None] | None = None) -> None:
    """Run a gateway until it is stopped by a signal, the control socket or cancellation.

    Port 0 takes a free port; `ready` is told which. Raises RetryLater when the state or a port is
    in use, InvalidInput when the options cannot work.
    """
    script = read_script(options.faults) if options.faults else []
    journal = Journal(options.state_dir, options.reset)
    try:
        exchange = _exchange(options, journal)
        log.info("market: %s; seed %s", exchange.market.source.sentence, options.seed)
        await _run(options, exchange, script, ready)
    finally:
        journal.close()


def _exchange(options: GatewayOptions, journal: Journal) -> Exchange:
    meta = journal.meta()
    if meta and meta["seed"] != options.seed:
        raise InvalidInput(
            f"the state in {options.state_dir} was made with --seed {meta['seed']}, not "
            f"{options.seed}; use that seed, another --state-dir, or --reset --yes"
        )
    if meta and meta.get("source", "simulated") != options.source:
        raise InvalidInput(
            f"the state in {options.state_dir} was made with --source "
            f"{meta.get('source', 'simulated')}, not {options.source}; use that source, another "
            "--state-dir, or --reset --yes"
        )
    import scipy.special  # noqa: F401 - now, rather than when the first client waits for a quote

    source = open_source(read_choice(options.source), options.seed)
    market = Market(options.seed, source=source)
    market.name = options.source
    list_only(source.listed)
    cash = int(options.cash * 100)
    if meta:
        account = Account(meta["cash"], prior_equity=meta["prior_equity"])
        exchange = Exchange(market, journal, account, meta["now"])
    else:
        start = _first_moment(options, market)
        exchange = Exchange(market, journal, Account(cash, prior_equity=cash), start)
    exchange.restore()
    exchange.commit()
    return exchange


def _first_moment(options: GatewayOptions, market: Market) -> int:
    first = market.source.earliest
    day = options.start or market.source.usual_start
    if day < first or span_on(day) is None:
        raise InvalidInput(
            f"--start {day} cannot be simulated: it comes before {first} or is no trading day; "
            f"give one such as {market.source.usual_start}"
        )
    return to_micros(at_exchange_time(day, 8))


async def _run(
    options: GatewayOptions,
    exchange: Exchange,
    script: list[Trigger],
    ready: Callable[[Ready], None] | None,
) -> None:
    loop = asyncio.get_running_loop()
    hub = Hub(exchange, options.server_version, options.pacing, options.master_client_id)
    hub.faults.arm(script)
    clock = MarketClock(exchange, options.speed, options.clock == "free", hub.deliver, hub.settle)
    clock.step = options.clock == "step"
    hub.entitled = options.market_data == "live"
    hub.clock_runs = lambda: clock.running
    stopped = asyncio.Event()
    control = ControlServer(options, hub, clock, stopped.set)
    api = await _listen(
        loop.create_server(lambda: Connection(hub, options.sockets), options.host, options.port),
        "--port",
        options.port,
    )
    controller = await _listen(
        asyncio.start_server(control.serve, options.host, options.control_port, limit=LONGEST_LINE),
        "--control-port",
        options.control_port,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(number, stopped.set)
    control.api_port = api.sockets[0].getsockname()[1]
    control_port = controller.sockets[0].getsockname()[1]
    tasks = [loop.create_task(work) for work in (clock.run(), hub.run_flush(), hub.run_lag())]
    if ready is not None:
        ready(Ready(options.host, control.api_port, control_port, exchange.now))
    try:
        await _until_stopped(stopped, hub, tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        api.close()
        controller.close()
        if not hub.failed.done():
            hub.deliver()
            hub.failed.cancel()
        hub.close()
        log.info("stopped at %s", to_iso(exchange.now))


async def _until_stopped(stopped: asyncio.Event, hub: Hub, tasks: list[asyncio.Task[None]]) -> None:
    stop = asyncio.get_running_loop().create_task(stopped.wait())
    try:
        done, _ = await asyncio.wait(
            {stop, hub.failed, *tasks}, return_when=asyncio.FIRST_COMPLETED
        )
        for ended in done:
            ended.result()
    finally:
        stop.cancel()


async def _listen(
    starting: Coroutine[Any, Any, asyncio.Server], option: str, port: int
) -> asyncio.Server:
    try:
        return await starting
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise RetryLater(
                f"{option} {port} is in use; stop what listens there (`robo gateway stop` if it is "
                f"another gateway), or give another {option}"
            ) from error
        raise InvalidInput(f"{option} {port} cannot be opened: {error}; give another") from error
