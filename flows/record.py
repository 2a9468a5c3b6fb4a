"""Record: every trade and quote of some symbols, and their books, from the broker to Parquet."""

from __future__ import annotations

import asyncio
import signal
from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_table
from flows.console import say
from flows.hooks import alert
from flows.outcomes import Outcome, finish, run_name
from flows.parameters import RecordParameters

if TYPE_CHECKING:
    from tasks.recording import RecordReport


@flow(name="record", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def record(parameters: RecordParameters = RecordParameters()) -> State[Any]:
    """Record ticks until the session has closed; the next run recovers what a killed one left."""
    return finish(lambda: _record(parameters))


def _record(parameters: RecordParameters) -> Outcome:
    from tasks.recording import record_ticks
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
    _publish(report)
    return Outcome(report.summary, report)


def _publish(report: RecordReport) -> None:
    rows = [{"kind": kind, "rows": count} for kind, count in report.rows.items()]
    rows += [{"kind": f"refused: {name}", "rows": why} for name, why in report.refused.items()]
    publish_table(rows, key="record-ticks", description=report.summary)
