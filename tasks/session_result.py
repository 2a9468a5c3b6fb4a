"""What a session tells while it works and what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


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
