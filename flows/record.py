"""Record: every trade and quote of some symbols, and their books, from the broker to Parquet."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_table
from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.parameters import RecordParameters
from flows.run_end import Outcome

if TYPE_CHECKING:
    from tasks.market_data.recording import RecordReport
    from tasks.market_data.tick_quality import TickQuality
    from tasks.settings import Settings


@flow(name="record", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def record(parameters: RecordParameters = RecordParameters()) -> State[Any]:
    """Record ticks until the session has closed; the next run recovers what a killed one left."""
    return finish(lambda: _record(parameters))


def _record(parameters: RecordParameters) -> Outcome:
    from tasks.market_data.recording import record_ticks
    from tasks.settings import load_settings

    settings = load_settings()
    stop = Event()
    if current_thread() is main_thread():
        signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    report = asyncio.run(
        record_ticks(
            settings,
            parameters.symbols or settings.universe,
            say,
            stop,
            depth_rows=parameters.depth_rows,
            minutes=parameters.minutes,
        )
    )
    quality = _judge(settings, report)
    summary = f"{report.summary}; {quality.summary}"
    _publish(report, quality, summary)
    return Outcome(summary, report)


def _judge(settings: Settings, report: RecordReport) -> TickQuality:
    """Judge what was recorded, now that it can keep nobody waiting."""
    from tasks.market_data.tick_quality import judge_recorded
    from tasks.stores import open_warehouse

    now = datetime.now(UTC)
    return judge_recorded(
        open_warehouse(settings),
        report.written,
        f"record-{now:%Y%m%dT%H%M%S}",
        now,
        policy=settings.quality_path,
    )


def _publish(report: RecordReport, quality: TickQuality, summary: str) -> None:
    rows = [{"kind": kind, "rows": count} for kind, count in report.rows.items()]
    rows += [{"kind": f"refused: {name}", "rows": why} for name, why in report.refused.items()]
    rows += [{"kind": f"against {name}", "rows": n} for name, n in quality.found.items()]
    publish_table(rows, key="record-ticks", description=summary)
