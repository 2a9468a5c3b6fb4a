"""Tell a person what a halt did that no one was there to read: one given by a signal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.alerts import Alert, raise_alert

if TYPE_CHECKING:
    from tasks.halting import HaltOutcome
    from tasks.settings import Settings


def report_halt(settings: Settings, done: HaltOutcome) -> None:
    """Raise an alert with the orders cancelled, those left, and what could not be done."""
    text = f"{done.reason}: {done.cancelled} orders cancelled, {done.still_working} still working"
    if done.trouble:
        text = f"{text}; halt incomplete: {done.trouble}"
    alert = Alert(datetime.now(UTC), "error", "trading halted: SIGNAL", text)
    raise_alert(settings.state_dir / "alerts.jsonl", alert)
