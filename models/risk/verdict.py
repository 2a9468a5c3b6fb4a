"""The answer of one check: passed or not, why, and the numbers that it compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import NamedTuple

Number = int | float | Decimal

_NOTHING: Mapping[str, float | str] = MappingProxyType({})
_WHOLE = 2**53  # up to here a float holds every whole number


class Comparison(NamedTuple):
    """A value beside its limit, both in `unit`; `excused` says why it passed above the limit."""

    value: int | float
    limit: int | float
    what: str
    unit: str
    excused: str = ""

    def sentence(self, passed: bool) -> str:
        """Say how the two compared."""
        relation = "within" if passed and not self.excused else "above"
        unit = self.unit
        said = f"{self.what} {_show(self.value)} {unit} is {relation} the limit of"
        excuse = f", but {self.excused}" if self.excused else ""
        return f"{said} {_show(self.limit)} {unit}{excuse}"


class Verdict(NamedTuple):
    """One check's answer, for the ledger and the trader.

    `told` is why, in a full sentence, or the comparison that it came to: an order waits for its
    checks, so the sentence of a comparison is made when somebody asks. `noted` are the numbers
    behind a sentence.
    """

    check: str
    passed: bool
    told: str | Comparison
    noted: Mapping[str, float | str] = _NOTHING

    @property
    def reason(self) -> str:
        """Why, as a full sentence, whether it passed or not."""
        told = self.told
        return told if isinstance(told, str) else told.sentence(self.passed)

    @property
    def numbers(self) -> Mapping[str, float | str]:
        """The numbers that were compared."""
        told = self.told
        if isinstance(told, str):
            return self.noted
        return {"value": float(told.value), "limit": float(told.limit)}


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
    if not (_is_finite(value) and _is_finite(limit)):
        return _broken(check, {"value": value, "limit": limit})
    within = is_within(value, limit)
    reason = "" if within else excused
    shown = Comparison(_plain(value), _plain(limit), what, unit, reason)
    return Verdict(check, within or bool(excused), shown)


def not_finite(check: str, values: Mapping[str, Number]) -> Verdict | None:
    """Return a denial naming the values that are NaN or infinite, or None when all are finite."""
    for value in values.values():
        if not _is_finite(value):
            return _broken(check, values)
    return None


def is_within(value: Number, limit: Number) -> bool:
    """Say whether `value` <= `limit`, floats taken as they are written.

    A limit written as 1.38 means that, and not the binary fraction just below it. Among floats that
    makes no difference: the shortest texts of two lie in the same order as the two.
    """
    if isinstance(value, Decimal) or isinstance(limit, Decimal):
        return _exact(value) <= _exact(limit)
    if type(value) is not type(limit) and max(abs(value), abs(limit)) > _WHOLE:
        return _exact(value) <= _exact(limit)
    return value <= limit


def _broken(check: str, values: Mapping[str, Number]) -> Verdict:
    bad = [name for name, value in values.items() if not _is_finite(value)]
    numbers: dict[str, float | str] = {name: str(value) for name, value in values.items()}
    return Verdict(check, False, f"{', '.join(bad)} is not a finite number", numbers)


def _is_finite(value: Number) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else isfinite(value)


def _exact(value: Number) -> Decimal:
    return _written(value) if isinstance(value, float) else Decimal(value)


@lru_cache(maxsize=64)
def _written(value: float) -> Decimal:
    return Decimal(repr(value))


def _plain(value: Number) -> int | float:
    return value if type(value) is int else float(value)


def _show(value: int | float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
