"""Alerts: one JSON line each in the mode's `alerts.jsonl`, shown by `robo status`."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from models.domain.errors import AskPerson, HaltTrading, InvalidInput, LeaseHeld, SkipToday
from tasks.redaction import redact

logger = logging.getLogger("robo.alerts")


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should see: `subject` is what it is about, `text` what to do."""

    at: datetime
    severity: str
    subject: str
    text: str


def needs_person(error: BaseException, *, is_scheduled: bool, trades: bool) -> bool:
    """Say whether a run's error belongs among the alerts.

    Not what whoever gave the command has just been told: wrong input, an interruption, another
    session that holds the lease. But trading that stopped, a run that nobody watches, and a session
    that `trades` and could not go on.
    """
    if isinstance(error, SkipToday | LeaseHeld | KeyboardInterrupt):
        return False
    if isinstance(error, HaltTrading | AskPerson) or is_scheduled:
        return True
    if trades:
        return not isinstance(error, InvalidInput)
    return False


def raise_alert(path: Path, alert: Alert) -> None:
    """Append the alert to `path` in one write, and log it; an unwritable file is logged too."""
    alert = replace(alert, subject=redact(alert.subject), text=redact(alert.text))
    logger.error("%s: %s", alert.subject, alert.text)
    line = json.dumps(asdict(alert) | {"at": alert.at.isoformat()}, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = "\n" + line  # a line cut short by a crash must not swallow this one
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.error("the alert could not be kept in %s: %s", path, error)


def recent_alerts(path: Path, count: int = 5) -> list[Alert]:
    """Return the last alerts, oldest first; a line cut short by a crash is passed over."""
    if not path.exists():
        return []
    found: list[Alert] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]:
        try:
            fields = json.loads(line)
            found.append(Alert(**fields | {"at": datetime.fromisoformat(fields["at"])}))
        except (ValueError, TypeError, KeyError):
            continue
    return found
