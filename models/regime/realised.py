"""A stated rule on realised volatility and trend of daily closes; no fitting, no look-ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log, sqrt
from statistics import median, stdev

from models.domain.errors import InvalidInput
from models.domain.regimes import Regime


@dataclass(frozen=True, slots=True)
class RegimeRule:
    """The rule's windows (sessions) and thresholds.

    CRASH: the last close is `crash_drop` (a fraction) or more below the highest of `trend_window`
    sessions, while volatility is at least `stress` times normal. VOLATILE: volatility is at least
    `stress` times normal. BULL or BEAR: the log return over `trend_window` is at least
    `trend_score` times its own volatility, up or down. RANGING: none of these. Volatility is the
    standard deviation of the last `short_window` log returns; normal is the median of all such
    figures that the closes hold.
    """

    short_window: int = 21
    trend_window: int = 63
    stress: float = 1.75
    crash_drop: float = 0.15
    trend_score: float = 1.0

    @property
    def sessions_needed(self) -> int:
        """Closes that `classify` needs at least: a trend, and three windows of volatility."""
        return max(self.trend_window, 3 * self.short_window) + 1


def classify(closes: Sequence[float], rule: RegimeRule | None = None) -> Regime:
    """Return the regime at the last of `closes` (USD, oldest first, one a session).

    Raises InvalidInput when there are too few, or one is no positive number.
    """
    rule = rule or RegimeRule()
    if len(closes) < rule.sessions_needed:
        raise InvalidInput(
            f"the regime needs {rule.sessions_needed} closes and got {len(closes)}; "
            "ingest more history"
        )
    if not all(isfinite(close) and close > 0 for close in closes):
        raise InvalidInput("a close is no positive number; run robo ingest to mend the bars")
    returns = [log(after / before) for before, after in pairwise(closes)]
    spans = range(rule.short_window, len(returns) + 1)
    volatilities = [stdev(returns[end - rule.short_window : end]) for end in spans]
    normal = median(volatilities)
    is_stressed = normal > 0 and volatilities[-1] >= rule.stress * normal
    drop = 1 - closes[-1] / max(closes[-rule.trend_window :])
    if is_stressed:
        return Regime.CRASH if drop >= rule.crash_drop else Regime.VOLATILE
    trend = sum(returns[-rule.trend_window :])
    noise = stdev(returns[-rule.trend_window :]) * sqrt(rule.trend_window)
    if abs(trend) >= rule.trend_score * noise and trend:
        return Regime.BULL if trend > 0 else Regime.BEAR
    return Regime.RANGING
