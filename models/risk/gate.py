"""The two gates: every check of its moment, in a fixed order, all of them always run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from models.domain.orders import ChildOrder, ParentOrder, Quote, Side
from models.risk import (
    account_checks,
    exposure_checks,
    plan_checks,
    send_checks,
    symbol_checks,
    throttle,
)
from models.risk.context import PlanContext, SendContext
from models.risk.day_trades import check_day_trades
from models.risk.limits import RiskLimits
from models.risk.quotes import check_jump
from models.risk.short_checks import check_child_short
from models.risk.verdict import Verdict


def check_parent(
    order: ParentOrder, context: PlanContext, limits: RiskLimits
) -> tuple[Verdict, ...]:
    """Judge a parent order at plan time; it may be accepted only when every verdict passed."""
    return (
        plan_checks.check_restricted(order.symbol, limits),
        symbol_checks.check_not_blocked(order.symbol, context.blocked.get(order.symbol)),
        account_checks.check_plan_disabled(order, context),
        account_checks.check_window(order, context),
        account_checks.check_price(order, context, limits),
        plan_checks.check_quantity(order, limits),
        plan_checks.check_notional(order, limits),
        plan_checks.check_position(order, context, limits),
        plan_checks.check_gross(order, context, limits),
        plan_checks.check_net(order, context, limits),
        plan_checks.check_adv(order, context, limits),
        plan_checks.check_duplicate(order, context, limits),
        plan_checks.check_short(order, context, limits),
        account_checks.check_plan_rate(order, context, limits),
        account_checks.check_plan_daily_loss(order, context, limits),
        account_checks.check_plan_drawdown(order, context, limits),
        check_day_trades(
            order.symbol,
            order.side,
            context.day_trades,
            equity=context.equity,
            limits=limits,
            working=_pending(context),
        ),
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
        throttle.check_disabled(context),
        throttle.check_attempts(child, context, limits),
        throttle.check_rejects(context, limits),
        throttle.check_strategy_rejects(context, limits),
        send_checks.check_quote(child, quote, limits, now),
        check_jump(context.reference, quote, limits),
        send_checks.check_collar(child, quote, limits),
        send_checks.check_remaining(child, context),
        send_checks.check_child_quantity(child, limits),
        send_checks.check_child_adv(child, context, limits),
        send_checks.check_rate(context, limits, now),
        send_checks.check_daily_loss(child, context, limits),
        send_checks.check_drawdown(child, context, limits),
        exposure_checks.check_child_notional(child, quote, context, limits),
        exposure_checks.check_child_position(child, quote, context, limits),
        *exposure_checks.check_child_books(child, quote, context, limits),
        check_child_short(child, context, limits),
        check_day_trades(
            child.symbol,
            child.side,
            context.day_trades,
            equity=context.equity,
            limits=limits,
            working=_working(context),
        ),
    )


def _pending(context: PlanContext) -> list[tuple[str, Side]]:
    return [(s, Side.BUY if n > 0 else Side.SELL) for s, n in context.pending.items() if n]


def _working(context: SendContext) -> Iterator[tuple[str, Side]]:
    for side, working in ((Side.BUY, context.buying), (Side.SELL, context.selling)):
        yield from ((symbol, side) for symbol, shares in working.items() if shares)
