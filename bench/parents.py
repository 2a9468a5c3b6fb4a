"""One parent order, made up, for the measurements that need single ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from models.domain.orders import ParentOrder, Side
from models.domain.sessions import exchange_date


def one_parent(
    parent_id: str,
    symbol: str,
    quantity: int,
    start: datetime,
    lasts: timedelta,
    *,
    price: Decimal = Decimal(100),
    strategy: str = "bench",
) -> ParentOrder:
    """Return a TWAP buy of so many shares, decided at its start for `price` USD a share."""
    return ParentOrder(
        parent_id=parent_id,
        session=exchange_date(start),
        strategy=strategy,
        symbol=symbol,
        side=Side.BUY,
        quantity=quantity,
        algo="TWAP",
        start=start,
        end=start + lasts,
        decision_price=price,
        decided_at=start,
        model_version="0",
    )
