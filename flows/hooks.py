"""What happens when a run fails, crashes or is cancelled: an alert, and no orphaned orders."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows.run_end import last_end

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

logger = logging.getLogger("robo.hooks")

TRADING_FLOWS = frozenset({"execute"})


def alert(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Raise an alert for a run that ended without having said why itself.

    It was killed, or Prefect failed around it; what a flow itself raised is judged by `alert_of`.
    """
    if last_end.error is None:
        ended = state.name.lower() if state.name else "failed"
        text = state.message or "no reason was given; look at the run's log in the Prefect UI"
        _raise(f"{flow.name} {ended} (run {flow_run.name})", text)


def alert_of(error: BaseException) -> None:
    """Raise an alert for what the present flow run raised, if a person must know of it."""
    from prefect.runtime import flow_run

    from tasks.alerts import needs_person

    if flow_run.id is None:  # not in a run: whoever called sees the error
        return
    trades = flow_run.flow_name in TRADING_FLOWS
    if needs_person(error, is_scheduled=_is_scheduled(), trades=trades):
        text = f"{type(error).__name__}: {error}"
        _raise(f"{flow_run.flow_name} failed (run {flow_run.name})", text)


def _is_scheduled() -> bool:
    """Say whether the present run is of a deployment, so that nobody waits at a terminal."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.deployment_id)


def _raise(subject: str, text: str) -> None:
    from models.domain.errors import RoboError
    from tasks.alerts import Alert, raise_alert
    from tasks.settings import load_settings

    try:
        path = load_settings().state_dir / "alerts.jsonl"
    except RoboError as error:  # the very settings may be what failed
        logger.error("%s: %s (no alert is kept: %s)", subject, text, error)
        return
    raise_alert(path, Alert(datetime.now(UTC), "error", subject, text))


def end_orders(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """See to it that a session that was cancelled or has crashed leaves no order behind.

    A cancelled one has ended its orders itself. Prefect calls this in another process, some
    seconds later: it looks whether the session is gone without a word, and then acts for it.
    """
    from tasks.session.watching import look_once
    from tasks.settings import load_settings

    seen = look_once(load_settings())
    logger.warning("%s %s (run %s): %s", flow.name, state.name, flow_run.name, seen.text)
