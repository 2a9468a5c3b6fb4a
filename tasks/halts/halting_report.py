"""Tell a person what a halt did that no one was there to read: one given by a signal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.alerts import Alert, raise_alert

if TYPE_CHECKING:
    from tasks.halts.halting import HaltOutcome
    from tasks.settings import Settings


def report_halt(settings: Settings, done: HaltOutcome) -> None:
    """Raise an alert with the orders cancelled, those left, and what could not be done."""
    counted = f"{done.cancelled} orders cancelled, {done.still_working} still working"
    text = f"{done.reason}: {counted}"
    if done.trouble:  # what was not read is not zero
        counted = f"; {counted}" if done.cancelled or done.still_working else ""
        text = f"{done.reason}: halt incomplete: {done.trouble}{counted}"
    alert = Alert(datetime.now(UTC), "error", "trading halted: SIGNAL", text)
    raise_alert(settings.state_dir / "alerts.jsonl", alert)
