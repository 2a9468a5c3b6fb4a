"""What happens when a run fails or crashes: an alert that the operator sees."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State


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
