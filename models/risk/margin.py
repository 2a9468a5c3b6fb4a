"""Margin: would the account still be within its limit once this order is filled?"""

from __future__ import annotations

from dataclasses import dataclass

from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict, compare, not_finite


@dataclass(frozen=True, slots=True)
class MarginImpact:
    """What the broker says an order would do (what-if), in USD.

    `initial_change` is the change of the initial margin requirement, `initial_before` and `equity`
    (with loan value) are the account's before it.
    """

    initial_before: float
    initial_change: float
    equity: float


def check_margin(
    impact: MarginImpact | str, pending: float, limits: RiskLimits
) -> tuple[Verdict, float]:
    """Deny an order that takes initial margin beyond its share of equity with loan value.

    `impact` may be the reason why the broker gave no answer: that denies. `pending` is the change
    in USD of orders accepted before this one in the same plan; return it with this order's added
    when it passes. What lowers the requirement passes.
    """
    if isinstance(impact, str):
        text = f"the broker did not say what the order would need: {impact}"
        return Verdict("margin", False, text), pending
    values = {
        "initial margin before": impact.initial_before,
        "its change": impact.initial_change,
        "equity with loan value": impact.equity,
        "pending": pending,
    }
    if (bad := not_finite("margin", values)) is not None:
        return bad, pending
    excused = "the order lowers it" if impact.initial_change < 0 else ""
    if impact.equity <= 0:
        text = f"equity with loan value is {impact.equity:,.2f} USD"
        verdict = Verdict("margin", bool(excused), f"{text}, but {excused}" if excused else text)
    else:
        after = impact.initial_before + pending + impact.initial_change
        limit = limits.max_initial_margin * impact.equity
        what = "initial margin after all accepted orders:"
        verdict = compare("margin", after, limit, what, "USD", excused=excused)
    return verdict, pending + impact.initial_change if verdict.passed else pending
