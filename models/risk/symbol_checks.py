"""Checks of a symbol's standing with the broker, at plan time and at send time alike."""

from __future__ import annotations

from models.risk.verdict import Verdict


def check_not_blocked(symbol: str, reason: str | None) -> Verdict:
    """Deny new orders in a symbol while broker and ledger differ about it; `reason` says how."""
    if reason is not None:
        return Verdict("blocked_symbol", False, f"{symbol} is blocked: {reason}")
    return Verdict("blocked_symbol", True, f"broker and ledger agree about {symbol}")
