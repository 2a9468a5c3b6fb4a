"""The answer of one check: passed or not, why, and the numbers that it compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite

Number = int | float | Decimal


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's answer; `reason` is a full sentence either way, for the ledger and the trader."""

    check: str
    passed: bool
    reason: str
    numbers: Mapping[str, float | str] = field(default_factory=dict[str, float | str])


def all_passed(verdicts: Iterable[Verdict]) -> bool:
    """Say whether every check passed; no verdicts at all is no permission."""
    answers = [verdict.passed for verdict in verdicts]
    return bool(answers) and all(answers)


def denials(verdicts: Iterable[Verdict]) -> str:
    """Return the reasons of the checks that did not pass, joined by '; '."""
    return "; ".join(f"{v.check}: {v.reason}" for v in verdicts if not v.passed)


def compare(
    check: str, value: Number, limit: Number, what: str, unit: str, *, excused: str = ""
) -> Verdict:
    """Pass when `value` <= `limit`, or when an excuse is given; never when one is not finite.

    `excused` says why an excess may pass (the order reduces the exposure that is too large).
    """
    broken = not_finite(check, {"value": value, "limit": limit})
    if broken is not None:
        return broken
    numbers: dict[str, float | str] = {"value": float(value), "limit": float(limit)}
    within = _exact(value) <= _exact(limit)
    relation = "within" if within else "above"
    reason = f"{what} {_show(value)} {unit} is {relation} the limit of {_show(limit)} {unit}"
    if not within and excused:
        reason = f"{reason}, but {excused}"
    return Verdict(check, within or bool(excused), reason, numbers)


def not_finite(check: str, values: Mapping[str, Number]) -> Verdict | None:
    """Return a denial naming the values that are NaN or infinite, or None when all are finite."""
    bad = [name for name, value in values.items() if not _is_finite(value)]
    if not bad:
        return None
    numbers: dict[str, float | str] = {name: str(value) for name, value in values.items()}
    return Verdict(check, False, f"{', '.join(bad)} is not a finite number", numbers)


def _is_finite(value: Number) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else isfinite(value)


def _exact(value: Number) -> Decimal:
    # A limit written as 1.38 means that, and not the binary fraction just below it.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _show(value: Number) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{float(value):,.6g}"
