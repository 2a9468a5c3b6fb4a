"""Execute: work the day's parent orders through the broker, slice by slice, from open to close.

No retries, no caching and no persisted results here: an order is never sent because a run was
repeated. The session itself is safe to repeat, since it starts from what the broker shows.
"""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from prefect import flow
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State

from flows.artifacts import publish_table
from flows.console import say
from flows.hooks import alert, end_orders
from flows.outcomes import finish, run_name
from flows.parameters import ExecuteParameters
from flows.run_end import Outcome
from flows.tables import day_rows, day_summary
from models.domain.errors import HaltTrading, RetryLater
from models.domain.halts import HaltCode
from models.domain.orders import ParentState

if TYPE_CHECKING:
    from uuid import UUID

    from tasks.books.execution_report import DayReport
    from tasks.session.sessions import SessionProgress, SessionResult
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger


@flow(
    name="execute",
    flow_run_name=run_name,
    retries=0,
    persist_result=False,
    on_failure=[alert],
    on_crashed=[alert, end_orders],
    on_cancellation=[alert, end_orders],
)
def execute(parameters: ExecuteParameters = ExecuteParameters()) -> State[Any]:
    """Work the parents of one session until each has ended; safe to run again at any moment."""
    return finish(lambda: _execute(parameters))


def _execute(parameters: ExecuteParameters) -> Outcome:
    from tasks.books.execution_report import day_report, record_costs
    from tasks.settings import load_settings
    from tasks.stores import open_ledger, open_warehouse

    settings = load_settings()
    with open_ledger(settings) as ledger:
        result = _run_session(settings, ledger, parameters)
        report = day_report(ledger, result.account, result.session)
    publish_table(day_rows(report), key="execution", description=day_summary(report))
    try:
        record_costs(open_warehouse(settings), report, result.ended_at)
    except RetryLater as error:  # the trading is done; reconcile-close writes the rows again
        say(f"the cost rows wait for the next reconciliation: {error}")
    for order_ref, reason in result.denied.items():
        say(f"not sent: {order_ref}: {reason}")
    _require_clean(report)
    return Outcome(day_summary(report), report)


def _run_session(
    settings: Settings, ledger: OrderLedger, parameters: ExecuteParameters
) -> SessionResult:
    from tasks.limits import LimitsWatch, adopt_limits
    from tasks.session.sessions import ExecutionSession
    from tasks.session.supervision import SupervisedSession

    user, now = getpass.getuser(), datetime.now(UTC)
    active = adopt_limits(settings.limits_path, ledger, user, now)
    version = active.version
    say(f"risk limits version {version.version} ({version.content_hash[:12]}, by {version.by})")
    watch = LimitsWatch(settings.limits_path, active.limits, version.version)
    supervised: SupervisedSession[SessionResult, SessionProgress] = SupervisedSession(
        lambda report, stop: ExecutionSession(
            settings=settings,
            ledger=ledger,
            limits=active.limits,
            session=parameters.session,
            longest_wait=parameters.longest_wait_minutes * 60,
            on_progress=report,
            stop=stop,
            limits_watch=watch,
        ).run()
    )
    bar = _progress_bar()

    def show(progress: SessionProgress) -> None:
        nonlocal bar
        share = 100.0 * progress.done_shares / max(progress.all_shares, 1)
        say(
            f"{progress.text}, {progress.at:%H:%M} UTC: {progress.done_shares:,} of "
            f"{progress.all_shares:,} shares filled ({share:.0f} %)"
        )
        bar = _moved(bar, share)

    return supervised.run(show, on_halt=lambda: _halt_by_signal(settings))


def _halt_by_signal(settings: Settings) -> None:
    from tasks.halts.halting import HaltOrder, halt_trading
    from tasks.halts.halting_report import report_halt

    order = HaltOrder("SIGUSR1 to the session's process", "a signal", HaltCode.SIGNAL)
    report_halt(settings, halt_trading(settings, order))


def _moved(bar: UUID | None, share: float) -> UUID | None:
    """Move the progress bar to `share` percent; give it up when Prefect does not take it."""
    if bar is None:
        return None
    try:
        update_progress_artifact(artifact_id=bar, progress=share)
    except Exception as error:  # each further try would hold the caller up for its retries
        say(f"the progress bar in the Prefect UI stands still from here: {error}")
        return None
    return bar


def _progress_bar() -> UUID | None:
    """Return the run's progress artifact, or None: trading does not wait for the Prefect API."""
    try:
        made = create_progress_artifact(
            progress=0.0, key="execution-progress", description="Filled"
        )
    except Exception as error:
        say(f"no progress bar in the Prefect UI: {error}")
        return None
    return cast("UUID", made)  # a coroutine only inside an event loop, and this is none


def _require_clean(report: DayReport) -> None:
    held = [row for row in report.worked if row.state in (ParentState.PAUSED, ParentState.FAILED)]
    if held:
        listed = "; ".join(f"{row.order.parent_id}: {row.reason}" for row in held)
        raise HaltTrading(
            f"{len(held)} parent orders need a person: {listed}. Compare with the broker "
            "(`robo reconcile`), then `robo resume` or leave them"
        )
    open_still = [row.order.parent_id for row in report.worked if not row.state.is_terminal]
    if open_still:
        raise RetryLater(
            f"{len(open_still)} parent orders wait for evidence from the broker: "
            f"{', '.join(open_still)}; run `robo execute` again, or `robo reconcile` to see what "
            "is missing"
        )
