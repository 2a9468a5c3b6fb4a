"""A ledger belongs to one mode: simulated, paper and live orders are never kept in one book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from tasks.interlock import mode_of

if TYPE_CHECKING:
    from warehouse.ledger import OrderLedger

MODES = ("simulated", "paper", "live")
SESSION_LEASE = "trading-"  # and the mode


def require_mode(ledger: OrderLedger, mode: str) -> None:
    """Raise InvalidInput when the ledger has an account or a session of another mode."""
    seen = {mode_of(account) for account in ledger.accounts.known()}
    seen |= {each for each in MODES if ledger.leases.is_known(f"{SESSION_LEASE}{each}")}
    others = sorted(seen - {mode})
    if others:
        raise InvalidInput(
            f"the ledger {ledger.place} belongs to mode {' and '.join(others)}, and ROBO_MODE is "
            f"{mode}: orders of two modes are never kept in one ledger; set ROBO_MODE, or "
            "ROBO_LEDGER_URL to a ledger of its own"
        )
