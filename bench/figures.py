"""A figure: one measured value beside its rival, as one JSON line."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass

_SENSES: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on the ratio of a figure to its rival; `sense` is <= or >=."""

    sense: str
    bound: float

    def __str__(self) -> str:
        """Return the goal as it is printed."""
        return f"ratio {self.sense} {self.bound:g}"

    def is_met(self, ratio: float) -> bool:
        """Say whether a ratio keeps the bound."""
        return _SENSES[self.sense](ratio, self.bound)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, and its rival's in the same unit, from the same run."""

    name: str
    value: float
    unit: str
    rival: str
    rival_value: float
    goal: Goal

    @property
    def ratio(self) -> float:
        """The value over its rival's."""
        return self.value / self.rival_value

    def line(self) -> str:
        """Return the figure as one line of JSON, numbers to four significant digits."""
        return json.dumps(
            {
                "name": self.name,
                "value": _short(self.value),
                "unit": self.unit,
                "rival": self.rival,
                "rival_value": _short(self.rival_value),
                "ratio": _short(self.ratio),
                "goal": str(self.goal),
                "met": self.goal.is_met(self.ratio),
            }
        )


def at_most(bound: float) -> Goal:
    """Return the goal of a ratio no greater than `bound`."""
    return Goal("<=", bound)


def at_least(bound: float) -> Goal:
    """Return the goal of a ratio no smaller than `bound`."""
    return Goal(">=", bound)


def _short(number: float) -> float:
    return float(f"{number:.4g}")
