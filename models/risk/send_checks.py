"""Send-time checks: may this child order go to the broker now?"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from models.domain.orders import ChildOrder, Quote, Side
from models.risk.context import SendContext
from models.risk.limits import RiskLimits
from models.risk.quotes import is_usable
from models.risk.verdict import Number, Verdict, compare, not_finite

BPS = Decimal(10_000)
MINUTE = timedelta(seconds=60)


def check_halt(context: SendContext) -> Verdict:
    """Deny everything while a halt is in force."""
    if context.halt_reason is not None:
        return Verdict("halt", False, f"trading is halted: {context.halt_reason}")
    return Verdict("halt", True, "no halt is in force")


def check_market_open(context: SendContext, now: datetime) -> Verdict:
    """Deny outside the regular session [open, close)."""
    session = context.session
    if session is None:
        return Verdict("market_open", False, "there is no session today")
    numbers: dict[str, float | str] = {
        "now": now.isoformat(),
        "open": session.open.isoformat(),
        "close": session.close.isoformat(),
    }
    if session.contains(now):
        return Verdict("market_open", True, "the market is open", numbers)
    return Verdict("market_open", False, f"{now.isoformat()} is outside the session", numbers)


def check_quote(
    child: ChildOrder, quote: Quote | None, limits: RiskLimits, now: datetime
) -> Verdict:
    """Deny without a sane quote of the symbol that is recent (a quote from the future is not)."""
    if quote is None or quote.symbol != child.symbol:
        return Verdict("quote", False, f"there is no quote for {child.symbol}")
    if not is_usable(quote):
        kind = "a locked market" if quote.is_sane else "no sane quote"
        return Verdict("quote", False, f"bid {quote.bid} and ask {quote.ask} make {kind}")
    age = abs((now - quote.at).total_seconds())
    return compare("quote", age, limits.max_quote_age, "quote age", "s")


def check_collar(child: ChildOrder, quote: Quote | None, limits: RiskLimits) -> Verdict:
    """Deny a limit price too far from the mid, on either side, and any order without a limit."""
    price = child.limit_price
    if price is None:
        return Verdict("collar", False, f"{child.order_ref} has no limit price")
    if (bad := not_finite("collar", {"limit price": price})) is not None:
        return bad
    if quote is None or not quote.is_sane:
        return Verdict("collar", False, f"there is no sane quote to hold {price} USD against")
    distance = abs(price - quote.mid) / quote.mid * BPS
    limit = limits.price_collar_bps
    return compare("collar", distance, limit, f"limit {price} USD off the mid by", "bps")


def check_remaining(child: ChildOrder, context: SendContext) -> Verdict:
    """Deny a child larger than its parent has left, whatever the engine's own guard says."""
    if child.quantity < 1:
        return Verdict("remaining", False, f"{child.quantity} shares is not an order")
    left = context.parent_remaining
    return compare("remaining", child.quantity, left, "child of", "shares left of its parent")


def check_child_quantity(child: ChildOrder, limits: RiskLimits) -> Verdict:
    """Deny a child of more shares than a whole order may have."""
    limit = limits.max_order_quantity
    return compare("quantity", child.quantity, limit, "child of", "shares")


def check_child_adv(child: ChildOrder, context: SendContext, limits: RiskLimits) -> Verdict:
    """Deny a child above its parent's share of the average daily volume that the plan noted."""
    adv = context.adv.get(child.symbol)
    if adv is None:
        return Verdict("adv", True, f"no volume of {child.symbol} was noted; its parent was judged")
    bad = not_finite("adv", {"adv": adv})
    if bad is not None:
        return bad
    share = 100 * limits.max_adv_share
    what = f"child, at most {share:.6g} % of the average daily volume, of"
    return compare("adv", child.quantity, limits.max_adv_share * adv, what, "shares")


def check_rate(context: SendContext, limits: RiskLimits, now: datetime) -> Verdict:
    """Deny when this send would exceed the account's orders in the trailing 60 seconds."""
    since = now - MINUTE
    count = 1 + len([sent for sent in context.recent_sends if sent > since])
    return compare("rate", count, limits.max_orders_per_minute, "sending", "orders a minute")


def check_daily_loss(child: ChildOrder, context: SendContext, limits: RiskLimits) -> Verdict:
    """Let only reducing orders through once the day has lost more than its limit."""
    lost = _loss("daily_loss", context.day_start_equity, context.equity)
    if isinstance(lost, Verdict):
        return lost
    excused = excuse(child, context)
    limit = limits.max_daily_loss
    return compare("daily_loss", lost, limit, "loss today", "of equity", excused=excused)


def check_drawdown(child: ChildOrder, context: SendContext, limits: RiskLimits) -> Verdict:
    """Let only reducing orders through once equity is too far below its highest."""
    lost = _loss("drawdown", context.peak_equity, context.equity)
    if isinstance(lost, Verdict):
        return lost
    excused = excuse(child, context)
    return compare("drawdown", lost, limits.max_drawdown, "drawdown", "of equity", excused=excused)


def excuse(child: ChildOrder, context: SendContext) -> str:
    """Say, if it is so, that the order and all that work on its side only reduce the position."""
    position = context.positions.get(child.symbol, 0)
    working = context.buying if child.side is Side.BUY else context.selling
    reduces = child.quantity + working.get(child.symbol, 0) <= -child.side.sign * position
    return "the order only reduces the position" if reduces else ""


def _loss(check: str, reference: float, equity: float) -> float | Verdict:
    """Return the fraction of the reference equity that is lost (negative: won), or a denial."""
    values: dict[str, Number] = {"equity": equity, "reference equity": reference}
    if (bad := not_finite(check, values)) is not None:
        return bad
    if reference <= 0:
        return Verdict(check, False, f"reference equity {reference} USD is not positive")
    return (reference - equity) / reference
