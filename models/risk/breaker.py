"""When trading must stop by itself: what a session has seen, against the limits."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from models.domain.halts import HaltCode
from models.risk.limits import RiskLimits


@dataclass(frozen=True, slots=True)
class Observation:
    """What a session sees at one moment.

    `attempts` children wanted in the last 60 s and `rejects` refusals in the last `reject_window`
    seconds, both of market time; `quote_silence` market seconds of the open session without a
    quote of any symbol at work, `heartbeat_loss` wall-clock seconds without an answer of the
    gateway. Equities in USD: now (not a number while a mid is missing), at the day's start, at its
    highest.
    """

    attempts: int = 0
    rejects: int = 0
    quote_silence: float = 0.0
    heartbeat_loss: float = 0.0
    equity: float = float("nan")
    day_start_equity: float = float("nan")
    peak_equity: float = float("nan")


@dataclass(frozen=True, slots=True)
class Trip:
    """A limit that was passed, and the sentence that says by how much."""

    code: HaltCode
    reason: str


def judge(seen: Observation, limits: RiskLimits) -> Trip | None:
    """Return the first limit that was passed, the one that needs a person most first; or None.

    At a limit trading goes on, beyond it it stops. An equity that is not known trips nothing here:
    no child passes its own checks with it.
    """
    halts = limits.halts
    tests = (
        _loss(HaltCode.DAILY_LOSS, "today", seen.day_start_equity, seen.equity,
              limits.max_daily_loss),
        _loss(HaltCode.DRAWDOWN, "from the highest equity", seen.peak_equity, seen.equity,
              limits.max_drawdown),
        _above(HaltCode.ORDER_RATE, seen.attempts, halts.max_order_attempts,
               "child orders were wanted within a minute"),
        _above(HaltCode.REJECTS, seen.rejects, halts.max_rejects,
               f"orders were refused by the broker within {halts.reject_window:g} s"),
        _above(HaltCode.QUOTE_AGE, seen.quote_silence, halts.max_quote_silence,
               "seconds of the session went by without any quote"),
        _above(HaltCode.HEARTBEAT, seen.heartbeat_loss, halts.max_heartbeat_loss,
               "seconds went by without an answer of the gateway"),
    )  # fmt: skip
    return next((trip for trip in tests if trip is not None), None)


def _above(code: HaltCode, value: float, limit: float, what: str) -> Trip | None:
    if value <= limit:
        return None
    return Trip(code, f"{value:,.6g} {what}, and {limit:,g} is the limit")


def _loss(code: HaltCode, since: str, before: float, now: float, limit: float) -> Trip | None:
    if not (isfinite(before) and isfinite(now)) or before <= 0:
        return None
    lost = (before - now) / before
    if lost <= limit:
        return None
    return Trip(
        code,
        f"{before - now:,.2f} USD or {lost:.2%} of equity were lost {since} "
        f"({before:,.2f} to {now:,.2f} USD), and {limit:.2%} is the limit",
    )
