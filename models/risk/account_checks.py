"""Plan-time checks of the moment and the account: window, price, rate and losses."""

from __future__ import annotations

from dataclasses import replace

from models.domain.orders import ParentOrder
from models.risk.context import PlanContext
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict, compare, not_finite


def check_plan_disabled(order: ParentOrder, context: PlanContext) -> Verdict:
    """Deny an order whose symbol or strategy a person must enable again."""
    why = context.disabled.get(order.symbol) or context.disabled.get(order.strategy)
    if why:
        text = f"{why}; a person enables it again: `robo limits enable`"
        return Verdict("disabled", False, text)
    return Verdict("disabled", True, "neither symbol nor strategy is disabled")


def check_window(order: ParentOrder, context: PlanContext) -> Verdict:
    """Deny an order that would work outside the regular session it is for."""
    session = context.session
    if session is None:
        return Verdict("market_open", False, "there is no session to work the order in")
    inside = session.open <= order.start < order.end <= session.close
    span = f"{order.start.isoformat()} to {order.end.isoformat()}"
    relation = "inside" if inside else "not inside"
    hours = f"{session.open.isoformat()} to {session.close.isoformat()}"
    return Verdict("market_open", inside, f"{span} is {relation} the session of {hours}")


def check_price(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Deny a decision price too far from the last close: a slipped decimal, pennies for USD.

    The close is of another source than the decision price: one wrong bar would agree with itself.
    """
    close = context.closes.get(order.symbol)
    if close is None:
        return Verdict("price", False, f"no last close of {order.symbol} is known")
    values = {"decision price": order.decision_price, "last close": close}
    if (bad := not_finite("price", values)) is not None:
        return bad
    if close <= 0:
        return Verdict("price", False, f"the last close {close} USD is not positive")
    gap = abs(float(order.decision_price) - close) / close
    judged = compare("price", gap, limits.max_price_gap, "gap", "of the last close")
    relation = "within" if judged.passed else "above"
    reason = (
        f"decision price {order.decision_price} USD is {100 * gap:.4g} % off the last close of "
        f"{close:g} USD, {relation} the limit of {100 * limits.max_price_gap:g} %"
    )
    return replace(judged, told=reason, noted=judged.numbers)


def check_plan_rate(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Deny more parents in a trailing minute than children may be sent in one."""
    others = [one for one in context.recent if one.parent_id != order.parent_id]
    near = [abs((order.decided_at - one.decided_at).total_seconds()) < 60 for one in others]
    return compare(
        "rate", 1 + sum(near), limits.max_orders_per_minute, "planning", "orders a minute"
    )


def check_plan_daily_loss(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Accept only reducing orders once the day has lost more than its limit."""
    lost = _lost("daily_loss", context, context.day_start_equity)
    if isinstance(lost, Verdict):
        return lost
    limit, excused = limits.max_daily_loss, _excuse(order, context)
    return compare("daily_loss", lost, limit, "loss today", "of equity", excused=excused)


def check_plan_drawdown(order: ParentOrder, context: PlanContext, limits: RiskLimits) -> Verdict:
    """Accept only reducing orders once equity is too far below its highest."""
    lost = _lost("drawdown", context, context.peak_equity)
    if isinstance(lost, Verdict):
        return lost
    limit, excused = limits.max_drawdown, _excuse(order, context)
    return compare("drawdown", lost, limit, "drawdown", "of equity", excused=excused)


def _lost(check: str, context: PlanContext, reference: float | None) -> float | Verdict:
    """Return the fraction of the reference equity that is lost, or a verdict when there is none."""
    if reference is None:
        return Verdict(check, True, "the account has no earlier worth to have lost from")
    values = {"equity": context.equity, "reference equity": reference}
    if (bad := not_finite(check, values)) is not None:
        return bad
    if reference <= 0:
        return Verdict(check, False, f"reference equity {reference} USD is not positive")
    return (reference - context.equity) / reference


def _excuse(order: ParentOrder, context: PlanContext) -> str:
    before = context.expected(order.symbol)
    after = before + order.side.sign * order.quantity
    reduces = before * after >= 0 and abs(after) < abs(before)
    return "the order only reduces the position" if reduces else ""
