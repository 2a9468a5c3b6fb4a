"""Summary: the day in one table, as an artifact of its own run."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import publish_table
from flows.outcomes import finish
from flows.run_end import Outcome
from flows.tables import day_rows, day_summary, equity_lines

if TYPE_CHECKING:
    from tasks.books.execution_report import DayReport


@flow(name="summary", flow_run_name="summary {session}")
def summary(account: str, session: date) -> State[Any]:
    """Tell what a session's orders did and cost, and what the account is worth."""
    return finish(lambda: _summary(account, session), announce=False)


def publish_day(report: DayReport) -> None:
    """Attach the day's table to the present run."""
    text = "\n\n".join([day_summary(report), *equity_lines(report)])
    publish_table(day_rows(report), key="trading-day", description=text)


def _summary(account: str, session: date) -> Outcome:
    from tasks.books.execution_report import day_report
    from tasks.settings import load_settings
    from tasks.stores import open_ledger

    with open_ledger(load_settings()) as ledger:
        report = day_report(ledger, account, session)
    publish_day(report)
    return Outcome(day_summary(report), report)
