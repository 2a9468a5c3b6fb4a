"""The gate of exit orders: they may only reduce, so what limits adding to a book does not bind.

Losses, exposure, restricted list, day trades and the throttle never hold a protective order back; a
halt, a closed market, the rate of orders, the parent's room and the position do. Of a position that
the broker tells differently an exit may cover what both hold: one of shares that are gone would
open a short position.
"""

from __future__ import annotations

from datetime import datetime

from models.domain.orders import ChildOrder, Quote, Side
from models.risk import send_checks, symbol_checks
from models.risk.context import SendContext
from models.risk.limits import RiskLimits
from models.risk.quotes import check_jump
from models.risk.verdict import Verdict, compare

IMMEDIATE = "IOC"


def check_exit(
    child: ChildOrder,
    quote: Quote | None,
    context: SendContext,
    limits: RiskLimits,
    now: datetime,
) -> tuple[Verdict, ...]:
    """Judge an exit order; one that trades at once needs a believable quote as any other does.

    `context` is without the exit's own one-cancels-all group, which can fill once only.
    """
    verdicts = (
        send_checks.check_halt(context),
        send_checks.check_market_open(context, now),
        check_agreed(child, context),
        check_reduces(child, context),
        send_checks.check_remaining(child, context),
        send_checks.check_rate(context, limits, now),
    )
    if child.tif != IMMEDIATE:
        return verdicts
    return (
        *verdicts,
        send_checks.check_quote(child, quote, limits, now),
        check_jump(context.reference, quote, limits),
        send_checks.check_collar(child, quote, limits),
    )


def check_agreed(child: ChildOrder, context: SendContext) -> Verdict:
    """Deny an exit where broker and ledger differ, beyond the shares that both hold."""
    if context.blocked_reason is None or context.agreed is None:
        return symbol_checks.check_not_blocked(child.symbol, context.blocked_reason)
    room = max(-child.side.sign * context.agreed, 0)
    what, unit = f"exit of {child.symbol}, about which broker and ledger differ,", "shares of both"
    return compare("blocked_symbol", child.quantity, room, what, unit)


def check_reduces(child: ChildOrder, context: SendContext) -> Verdict:
    """Deny an exit of more shares than are held and on no other order of its side."""
    held = -child.side.sign * context.positions.get(child.symbol, 0)
    working = context.buying if child.side is Side.BUY else context.selling
    room = max(held - working.get(child.symbol, 0), 0)
    return compare("reduces", child.quantity, room, "exit of", "shares held and not on an order")
