"""What a session tells while it works and what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.execution.state import ParentExecution


@dataclass(frozen=True, slots=True)
class SessionProgress:
    """How far the session is: shares filled of shares ordered, and the market time (UTC)."""

    at: datetime
    done_shares: int
    all_shares: int
    text: str


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What a session leaves behind besides the ledger; `denied` maps orderRef to a risk reason."""

    session: date
    account: str
    ended_at: datetime
    is_resumed: bool
    denied: dict[str, str]


def progress_of(
    at: datetime, ended: tuple[int, int], at_work: Iterable[ParentExecution], text: str
) -> SessionProgress:
    """Return the progress of a session: `ended` are the shares of parents that were over before."""
    executions = tuple(at_work)
    filled = sum(execution.filled for execution in executions)
    ordered = sum(execution.parent.quantity for execution in executions)
    return SessionProgress(at, ended[0] + filled, ended[1] + ordered, text)
