"""Live bars: five-second and one-minute bars of the running session, landed every minute."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_landing
from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.parameters import LiveBarsParameters
from flows.run_end import Outcome

if TYPE_CHECKING:
    from tasks.settings import Settings
    from tasks.sources.landing import LandingReport


@flow(name="live-bars", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def live_bars(parameters: LiveBarsParameters = LiveBarsParameters()) -> State[Any]:
    """Keep the bars of the running session up to date until it closes."""
    return finish(lambda: _live_bars(parameters))


def _live_bars(parameters: LiveBarsParameters) -> Outcome:
    from tasks.settings import load_settings

    chosen = {"universe": tuple(parameters.symbols)} if parameters.symbols else {}
    settings = load_settings(**chosen)
    with _stop_on_interrupt() as stop:
        report = asyncio.run(_keep(settings, parameters, stop))
    publish_landing(report, key="live-bars", description=report.summary)
    return Outcome(report.summary, report)


async def _keep(
    settings: Settings, parameters: LiveBarsParameters, stop: threading.Event
) -> LandingReport:
    from tasks.broker.bar_stream import BarStream
    from tasks.broker.clock import open_clock
    from tasks.broker.roles import Role, address
    from tasks.quality.imports import QualityFiles
    from tasks.sources.landing import land
    from tasks.sources.live_bars import LiveBarSource
    from tasks.stores import open_warehouse

    clock = await open_clock(settings.clock, settings.host, settings.control_port, "live-bars")
    where = address(settings, Role.LIVE_BARS)
    try:
        began = clock.now()
        wanted = timedelta(minutes=parameters.minutes) if parameters.minutes else None
        source = LiveBarSource(
            lambda: BarStream.open(where, settings.broker_timeout),
            clock,
            settings.universe,
            stop,
            wanted=wanted,
            progress=say,
        )
        run_id = f"live-{began:%Y%m%dT%H%M%S}"
        warehouse = open_warehouse(settings)
        return await land(
            source,
            warehouse,
            began,
            say,
            run_id=run_id,
            now=clock.now,
            quality=QualityFiles(settings.quality_path, settings.data_docs),
        )
    finally:
        await clock.close()


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Let Ctrl-C end the run after the next landing, so that nothing that came is lost."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
