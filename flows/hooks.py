"""What happens when a run fails, crashes or is cancelled: an alert, and no orphaned orders."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

logger = logging.getLogger("robo.hooks")


def alert(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Raise an alert that names the flow, the run, its end and the reason."""
    from tasks.alerts import Alert, raise_alert
    from tasks.settings import load_settings

    settings = load_settings()
    subject = f"{flow.name} {state.name.lower() if state.name else 'failed'} (run {flow_run.name})"
    text = state.message or "no reason was given; look at the run's log in the Prefect UI"
    raise_alert(
        settings.state_dir / "alerts.jsonl", Alert(datetime.now(UTC), "error", subject, text)
    )


def end_orders(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """See to it that a session that was cancelled or has crashed leaves no order behind.

    A cancelled one has ended its orders itself. Prefect calls this in another process, some
    seconds later: it looks whether the session is gone without a word, and then acts for it.
    """
    from tasks.settings import load_settings
    from tasks.watching import look_once

    seen = look_once(load_settings())
    logger.warning("%s %s (run %s): %s", flow.name, state.name, flow_run.name, seen.text)
