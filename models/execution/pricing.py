"""The limit price of a marketable child order."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from models.domain.orders import Quote, Side

BPS = Decimal(10_000)


def tick_size(price: Decimal) -> Decimal:
    """Return the minimum price increment in USD (SEC Regulation NMS, Rule 612)."""
    return Decimal("0.01") if price >= 1 else Decimal("0.0001")


def round_to_tick(price: Decimal, side: Side) -> Decimal:
    """Round to a tick on the safe side: a buy never pays more, a sell never takes less."""
    tick = tick_size(price)
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (price / tick).to_integral_value(rounding) * tick


def marketable_limit(
    side: Side, quote: Quote, offset_bps: Decimal, parent_limit: Decimal | None
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
    price = round_to_tick(price, side)
    if price <= 0 or (price - touch) * side.sign < 0:
        return None
    return price
