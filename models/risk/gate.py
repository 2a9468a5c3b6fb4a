"""The two gates: every check of its moment, in a fixed order, all of them always run."""

from __future__ import annotations

from datetime import datetime

from models.domain.orders import ChildOrder, ParentOrder, Quote
from models.risk import exposure_checks, plan_checks, send_checks, symbol_checks
from models.risk.context import PlanContext, SendContext
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict


def check_parent(
    order: ParentOrder, context: PlanContext, limits: RiskLimits
) -> tuple[Verdict, ...]:
    """Judge a parent order at plan time; it may be accepted only when every verdict passed."""
    return (
        plan_checks.check_restricted(order.symbol, limits),
        symbol_checks.check_not_blocked(order.symbol, context.blocked.get(order.symbol)),
        plan_checks.check_quantity(order, limits),
        plan_checks.check_notional(order, limits),
        plan_checks.check_position(order, context, limits),
        plan_checks.check_gross(order, context, limits),
        plan_checks.check_net(order, context, limits),
        plan_checks.check_adv(order, context, limits),
        plan_checks.check_duplicate(order, context, limits),
        plan_checks.check_short(order, context, limits),
    )


def check_child(
    child: ChildOrder,
    quote: Quote | None,
    context: SendContext,
    limits: RiskLimits,
    now: datetime,
) -> tuple[Verdict, ...]:
    """Judge a child order at the moment of its send; it may go only when every verdict passed."""
    return (
        send_checks.check_halt(context),
        send_checks.check_market_open(context, now),
        plan_checks.check_restricted(child.symbol, limits),
        symbol_checks.check_not_blocked(child.symbol, context.blocked_reason),
        send_checks.check_quote(child, quote, limits, now),
        send_checks.check_collar(child, quote, limits),
        send_checks.check_remaining(child, context),
        send_checks.check_rate(context, limits, now),
        send_checks.check_daily_loss(child, context, limits),
        send_checks.check_drawdown(child, context, limits),
        exposure_checks.check_child_notional(child, quote, context, limits),
        exposure_checks.check_child_position(child, quote, context, limits),
        exposure_checks.check_child_gross(child, quote, context, limits),
        exposure_checks.check_child_net(child, quote, context, limits),
    )
