"""Send-time check of short sales: only where allowed, and no more than may be borrowed.

A sale that the broker holds while it locates shares (404, whyHeld locate) is alive and counts here
as any order that works.
"""

from __future__ import annotations

from models.domain.orders import ChildOrder, Side
from models.risk.context import SendContext
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict, compare


def check_child_short(child: ChildOrder, context: SendContext, limits: RiskLimits) -> Verdict:
    """Deny a sale that could end short, unless shorting is allowed and the shares are there.

    Working sells, resting exits among them, count as filled and working buys as not.
    """
    if child.side is Side.BUY:
        return Verdict("short", True, "a purchase opens no short position")
    held = context.positions.get(child.symbol, 0)
    working = context.selling.get(child.symbol, 0)
    after = held - working - child.quantity
    if after >= 0:
        return Verdict("short", True, f"{after} of {held} shares remain if all sales fill")
    if not limits.allow_short:
        room = max(held - working, 0)
        return compare("short", child.quantity, room, "sale of", "shares held and not on sale")
    return compare_borrow(-after - max(-held, 0), context.shortable.get(child.symbol))


def compare_borrow(shares: int, shortable: int | None) -> Verdict:
    """Deny more newly borrowed shares than the broker says there are, or when it does not say."""
    if shortable is None:
        text = "the broker has not said how many shares may be borrowed (tick 236)"
        return Verdict("short", False, text, {"value": float(shares)})
    return compare("short", shares, shortable, "short sale borrows", "shares that may be borrowed")
