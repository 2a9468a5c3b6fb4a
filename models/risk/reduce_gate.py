"""The gate of a flatten: what may be sent while trading is halted."""

from __future__ import annotations

from datetime import datetime

from models.domain.orders import ChildOrder, Quote
from models.risk import send_checks
from models.risk.context import SendContext
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict, compare


def check_reducing(
    child: ChildOrder,
    quote: Quote | None,
    context: SendContext,
    limits: RiskLimits,
    now: datetime,
) -> tuple[Verdict, ...]:
    """Judge a child that must only reduce a position.

    Halts, losses and the restricted list do not keep a position from being closed. The price, the
    size of one order, the rate and the room of the position are checked as ever.
    """
    return (
        check_reduces(child, context),
        send_checks.check_market_open(context, now),
        send_checks.check_quote(child, quote, limits, now),
        send_checks.check_collar(child, quote, limits),
        send_checks.check_remaining(child, context),
        send_checks.check_rate(context, limits, now),
        _check_notional(child, quote, limits),
        compare("quantity", child.quantity, limits.max_order_quantity, "child of", "shares"),
    )


def check_reduces(child: ChildOrder, context: SendContext) -> Verdict:
    """Deny what, with all that works on its side, could take the position past zero."""
    position = context.positions.get(child.symbol, 0)
    excused = send_checks.excuse(child, context)
    numbers: dict[str, float | str] = {"position": position, "shares": child.quantity}
    if excused and child.quantity > 0:
        return Verdict("reduces", True, excused, numbers)
    reason = (
        f"{child.side} {child.quantity} {child.symbol} with what works beside it would not only "
        f"reduce the position of {position} shares"
    )
    return Verdict("reduces", False, reason, numbers)


def _check_notional(child: ChildOrder, quote: Quote | None, limits: RiskLimits) -> Verdict:
    if quote is None or not quote.is_sane:
        return Verdict("notional", False, f"there is no present mid of {child.symbol}")
    value = child.quantity * float(quote.mid)
    return compare("notional", value, limits.max_order_notional, "child of", "USD")
