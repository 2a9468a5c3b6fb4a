"""The limit price of a marketable child order."""

from __future__ import annotations

from decimal import Decimal

from models.domain.market_rules import REG_NMS, MarketRule
from models.domain.orders import Quote, Side

BPS = Decimal(10_000)


def marketable_limit(
    side: Side,
    quote: Quote,
    offset_bps: Decimal,
    parent_limit: Decimal | None,
    rule: MarketRule = REG_NMS,
) -> Decimal | None:
    """Return the far touch made worse by `offset_bps`, on tick and within the parent's limit.

    None when the quote is not sane, or when the parent's limit lies short of the far touch (the
    order could not trade now).
    """
    if not quote.is_sane:
        return None
    touch = quote.ask if side is Side.BUY else quote.bid
    price = touch * (1 + side.sign * offset_bps / BPS)
    if parent_limit is not None:
        price = min(price, parent_limit) if side is Side.BUY else max(price, parent_limit)
    if price <= 0:
        return None
    price = rule.rounded(price, side)
    if price <= 0 or (price - touch) * side.sign < 0:
        return None
    return price
