"""A small parent order for tests that need one: each names only what it is about."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from models.domain.orders import ParentOrder, Side


def parent_order(at: datetime, symbol: str = "KO", **changes: Any) -> ParentOrder:
    """Return a TWAP buy of 10 shares at 50 USD, decided `at` a moment and worked for an hour."""
    fields: dict[str, Any] = {
        "parent_id": f"p-{symbol}",
        "session": at.date(),
        "strategy": "t",
        "symbol": symbol,
        "side": Side.BUY,
        "quantity": 10,
        "algo": "TWAP",
        "start": at,
        "end": at + timedelta(hours=1),
        "decision_price": Decimal(50),
        "decided_at": at,
        "model_version": "none",
    }
    return ParentOrder(**(fields | changes))
