"""Backfill: the broker's history of intraday bars, window by window, resumed where it stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_landing
from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.parameters import BackfillParameters
from flows.run_end import Outcome

if TYPE_CHECKING:
    from tasks.settings import Settings
    from tasks.sources.backfill import BackfillReport


@flow(name="backfill", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def backfill(parameters: BackfillParameters = BackfillParameters()) -> State[Any]:
    """Fetch what is missing of the broker's intraday history; a second run asks for nothing."""
    return finish(lambda: _backfill(parameters))


def _backfill(parameters: BackfillParameters) -> Outcome:
    from tasks.settings import load_settings

    chosen = {"universe": tuple(parameters.symbols)} if parameters.symbols else {}
    report = asyncio.run(_fetch(load_settings(**chosen), parameters))
    more = {
        "windows planned": report.planned,
        "windows open": report.left_open,
        "requests": report.requests,
    }
    publish_landing(report.landing, key="backfill", description=report.summary, more=more)
    return Outcome(report.summary, report)


async def _fetch(settings: Settings, parameters: BackfillParameters) -> BackfillReport:
    from tasks.broker.clock import market_now
    from tasks.broker.history import HistoryConnection
    from tasks.broker.roles import Role, address
    from tasks.market_data.ingest import last_completed_session
    from tasks.quality.imports import QualityFiles
    from tasks.sources.backfill import BackfillRequest, backfill, sessions_back
    from tasks.stores import open_warehouse

    def now() -> Any:
        return market_now(settings.clock, settings.host, settings.control_port)

    started = now()
    last = parameters.last or last_completed_session(started)
    wanted = BackfillRequest(
        settings.universe,
        parameters.timeframe,
        parameters.first or sessions_back(last, parameters.sessions),
        last,
        parameters.refetch,
    )
    where = address(settings, Role.BACKFILL)
    return await backfill(
        lambda: HistoryConnection.open(where, settings.broker_timeout),
        open_warehouse(settings),
        wanted,
        now if settings.clock == "wall" else lambda: started,  # no socket for each batch
        say,
        run_id=f"backfill-{started:%Y%m%dT%H%M%S}",
        quality=QualityFiles(settings.quality_path, settings.data_docs),
    )
