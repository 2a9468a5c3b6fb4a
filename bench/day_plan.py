"""A day's parent orders, made up: equal notionals, one parent a symbol."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from models.domain.orders import ParentOrder, Side
from models.domain.sessions import TradingSession


def day_plan(
    session: TradingSession,
    prices: dict[str, Decimal],
    notional: Decimal,
    decided_at: datetime,
) -> list[ParentOrder]:
    """Return a TWAP buy over the whole session of about `notional` USD for every priced symbol."""
    return [
        ParentOrder(
            parent_id=f"{session.date:%Y%m%d}-bench-{symbol}",
            session=session.date,
            strategy="bench",
            symbol=symbol,
            side=Side.BUY,
            quantity=max(1, int(notional / price)),
            algo="TWAP",
            start=session.open,
            end=session.close,
            decision_price=price,
            decided_at=decided_at,
            model_version="0",
        )
        for symbol, price in prices.items()
    ]
