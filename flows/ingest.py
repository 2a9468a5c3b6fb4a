"""Ingest: daily bars from the broker, validated as one batch, merged into the warehouse."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_link, publish_table
from flows.console import say
from flows.hooks import alert
from flows.outcomes import finish, run_name
from flows.parameters import IngestParameters
from flows.run_end import Outcome

if TYPE_CHECKING:
    from tasks.broker.protocol import ApiAddress
    from tasks.market_data.ingest import IngestReport
    from tasks.settings import Settings


@flow(name="ingest", flow_run_name=run_name, on_failure=[alert], on_crashed=[alert])
def ingest(parameters: IngestParameters = IngestParameters()) -> State[Any]:
    """Ask the broker for what is new, validate it, and merge it; a second run adds nothing."""
    return finish(lambda: _ingest(parameters))


def _ingest(parameters: IngestParameters) -> Outcome:
    from tasks.broker.roles import Role
    from tasks.leases.client_ids import leased_address
    from tasks.settings import load_settings

    chosen = {"universe": tuple(parameters.symbols)} if parameters.symbols else {}
    settings = load_settings(**chosen)
    asked_by = "the symbols asked for (--symbol)" if parameters.symbols else "ROBO_UNIVERSE"
    with leased_address(settings, Role.HISTORY) as where:
        report = asyncio.run(_from_broker(settings, asked_by, where))
    _publish(report)
    return Outcome(report.summary, report)


async def _from_broker(settings: Settings, asked_by: str, where: ApiAddress) -> IngestReport:
    from tasks.broker.clock import market_now
    from tasks.broker.market_data import DataConnection
    from tasks.market_data.ingest import ingest_daily
    from tasks.stores import open_warehouse

    now = market_now(settings.clock, settings.host, settings.control_port)
    warehouse = open_warehouse(settings)
    source = await DataConnection.open(where, settings.broker_timeout)
    try:
        return await ingest_daily(source, warehouse, settings, now, say, asked_by=asked_by)
    finally:
        await source.close()


def _publish(report: IngestReport) -> None:
    quality = report.quality
    gaps = {check.expectation: len(check.rows) for check in quality.checks}.get("gap", 0)
    counts = {
        "rows added": report.added,
        "rows changed": report.changed,
        "rows quarantined": report.quarantined,
        "rows with a warning": len(quality.warned),
        "gaps (places where sessions are missing)": gaps,
        "symbols behind": len(report.behind),
        "validation, s": f"{quality.seconds:.2f}",
        "merge, s": f"{report.merge_seconds:.2f}",
    }
    rows = [{"what": what, "count": str(count)} for what, count in counts.items()]
    publish_table(rows, key="ingest", description=report.summary)
    checks = [
        {
            "check": check.expectation,
            "column": check.column,
            "severity": str(check.severity),
            "passed": "yes" if check.success else "NO",
            "observed": check.exception or check.observed,
        }
        for check in sorted(quality.checks, key=lambda check: check.success)  # failed ones first
    ]
    publish_table(checks, key="data-quality", description=f"Great Expectations: {report.summary}")
    if quality.docs:
        publish_link(quality.docs, key="data-docs", text="Data Docs of this validation")
