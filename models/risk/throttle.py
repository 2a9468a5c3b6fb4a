"""The repeated-execution throttle: what goes wrong again and again stops until a person looks.

MiFID RTS 6 Art. 15 asks for it; the case behind it is Knight Capital, 2012.
"""

from __future__ import annotations

from models.domain.orders import ChildOrder
from models.risk.context import SendContext
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict, compare

STRATEGY_FACTOR = 3  # a strategy is in several symbols: it may be refused so much more often
DISABLING = frozenset({"attempts", "rejects", "strategy_rejects"})


def check_disabled(context: SendContext) -> Verdict:
    """Deny while the symbol or the strategy is disabled."""
    if context.disabled is not None:
        text = f"{context.disabled}; a person enables it again: `robo limits enable`"
        return Verdict("disabled", False, text)
    return Verdict("disabled", True, "neither symbol nor strategy is disabled")


def check_attempts(child: ChildOrder, context: SendContext, limits: RiskLimits) -> Verdict:
    """Deny one automatic attempt too many at the same slice."""
    limit = limits.max_attempts * (1 + context.times_enabled)
    what = f"slice {child.slice_no} of {child.parent_id}:"
    return compare("attempts", child.attempt, limit, what, "attempts")


def check_rejects(context: SendContext, limits: RiskLimits) -> Verdict:
    """Deny once the broker has refused so many orders in the symbol today."""
    rejects, limit = context.rejects, limits.max_rejects - 1
    return compare("rejects", rejects, limit, "the symbol today:", "refusals before this")


def check_strategy_rejects(context: SendContext, limits: RiskLimits) -> Verdict:
    """Deny once the broker has refused so many orders of the strategy today."""
    limit = STRATEGY_FACTOR * limits.max_rejects - 1
    rejects, what = context.strategy_rejects, "the strategy today:"
    return compare("strategy_rejects", rejects, limit, what, "refusals before this")
