"""Plan-time checks: may this parent order be accepted?"""

from __future__ import annotations

from models.domain.orders import ParentOrder, Side
from models.risk.context import PlanContext
from models.risk.limits import RiskLimits
from models.risk.short_checks import compare_borrow
from models.risk.verdict import Verdict, compare, not_finite


def check_restricted(symbol: str, limits: RiskLimits) -> Verdict:
    """Deny every order in a restricted symbol."""
    if symbol.upper() in limits.restricted:
        return Verdict("restricted", False, f"{symbol} is on the restricted list")
    return Verdict("restricted", True, f"{symbol} is not restricted")


def check_quantity(order: ParentOrder, limits: RiskLimits) -> Verdict:
    """Deny an order of no shares, or of more shares than the limit."""
    if order.quantity < 1:
        return Verdict("quantity", False, f"{order.quantity} shares is not an order")
    limit = limits.max_order_quantity
    return compare("quantity", order.quantity, limit, "order of", "shares")


def check_notional(order: ParentOrder, limits: RiskLimits) -> Verdict:
    """Deny an order worth more USD, at its decision price, than the limit."""
    bad = _bad_price("notional", order)
    if bad is not None:
        return bad
    value = order.quantity * order.decision_price
    return compare("notional", value, limits.max_order_notional, "order value", "USD")


def check_position(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Deny an order that takes one position beyond its share of equity (unless it reduces it)."""
    bad = _bad_price("position", order) or _bad_equity("position", context)
    if bad is not None:
        return bad
    before = context.expected(order.symbol)
    after = before + order.side.sign * order.quantity
    weight = abs(after) * float(order.decision_price) / context.equity
    excused = "the order reduces the position" if abs(after) < abs(before) else ""
    limit = limits.max_position_weight
    return compare("position", weight, limit, f"{order.symbol} at", "of equity", excused=excused)


def check_gross(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Deny an order that takes the sum of absolute positions beyond its limit (x equity)."""
    values = _exposures("gross", order, context)
    if isinstance(values, Verdict):
        return values
    before, after = (sum(abs(value) for value in book) for book in values)
    excused = "the order reduces it" if after < before else ""
    weight, limit = after / context.equity, limits.max_gross_exposure
    return compare("gross", weight, limit, "gross exposure", "x equity", excused=excused)


def check_net(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Deny an order that takes the signed sum of positions beyond its limit (x equity)."""
    values = _exposures("net", order, context)
    if isinstance(values, Verdict):
        return values
    before, after = (abs(sum(book)) for book in values)
    excused = "the order reduces it" if after < before else ""
    weight, limit = after / context.equity, limits.max_net_exposure
    return compare("net", weight, limit, "net exposure", "x equity", excused=excused)


def check_adv(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Deny an order larger than its share of the 20-day average daily volume, or without one."""
    adv = context.adv.get(order.symbol)
    if adv is None:
        return Verdict("adv", False, f"no average daily volume is known for {order.symbol}")
    bad = not_finite("adv", {"adv": adv})
    if bad is not None:
        return bad
    share = 100 * limits.max_adv_share
    what = f"order, at most {share:.6g} % of the average daily volume, of"
    return compare("adv", order.quantity, limits.max_adv_share * adv, what, "shares")


def check_duplicate(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Deny a second order of one strategy, symbol and side within the duplicate window.

    The same parent id is the same order, which the ledger keeps unique.
    """
    for other in context.recent:
        same = (other.strategy, other.symbol, other.side) == (
            order.strategy,
            order.symbol,
            order.side,
        )
        seconds = abs((order.decided_at - other.decided_at).total_seconds())
        if same and other.parent_id != order.parent_id and seconds < limits.duplicate_window:
            return Verdict(
                "duplicate",
                False,
                f"{order.strategy} decided to {order.side} {order.symbol} {seconds:g} s from order "
                f"{other.parent_id}, inside the window of {limits.duplicate_window:g} s",
                {"seconds": seconds, "window": limits.duplicate_window, "other": other.parent_id},
            )
    return Verdict("duplicate", True, "no such order was decided within the duplicate window")


def check_short(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Deny a sale of more shares than are held; pending purchases are not yet held.

    With shorting allowed the excess must be borrowed: deny more than the broker says there are. It
    may not say before the open; each send asks again, and is denied then.
    """
    if order.side is Side.BUY:
        return Verdict("short", True, "a purchase opens no short position")
    pending = min(0, context.pending.get(order.symbol, 0))
    held = context.positions.get(order.symbol, 0) + pending
    if order.quantity <= max(held, 0) or not limits.allow_short:
        return compare("short", order.quantity, max(held, 0), "sale of", "shares held")
    borrowed, shortable = order.quantity - max(held, 0), context.shortable.get(order.symbol)
    if shortable is None:
        text = f"{borrowed:,} shares are to be borrowed; each send asks how many there are"
        return Verdict("short", True, text)
    return compare_borrow(borrowed, shortable)


def _bad_price(check: str, order: ParentOrder) -> Verdict | None:
    price = order.decision_price
    if (bad := not_finite(check, {"decision price": price})) is not None:
        return bad
    return None if price > 0 else Verdict(check, False, f"decision price {price} is not positive")


def _bad_equity(check: str, context: PlanContext) -> Verdict | None:
    equity = context.equity
    if (bad := not_finite(check, {"equity": equity})) is not None:
        return bad
    return None if equity > 0 else Verdict(check, False, f"equity {equity} USD is not positive")


def _exposures(
    check: str, order: ParentOrder, context: PlanContext
) -> tuple[list[float], list[float]] | Verdict:
    """Return the signed USD values of all positions before and after the order, or a denial."""
    bad = _bad_price(check, order) or _bad_equity(check, context)
    if bad is not None:
        return bad
    before: list[float] = []
    after: list[float] = []
    for symbol in sorted({*context.positions, *context.pending, order.symbol}):
        own = symbol == order.symbol
        shares = context.expected(symbol)
        price = float(order.decision_price) if own else context.prices.get(symbol)
        if price is None and not shares:
            continue
        if price is None:
            return Verdict(check, False, f"no price is known for {symbol}, which is in the book")
        if (bad := not_finite(check, {f"price of {symbol}": price})) is not None:
            return bad
        before.append(shares * price)
        after.append((shares + own * order.side.sign * order.quantity) * price)
    return before, after
