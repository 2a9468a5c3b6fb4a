"""Target curves: how many shares of a parent order are planned to be done by each moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from models.domain.errors import InvalidInput
from models.domain.orders import ParentOrder


class TargetCurve(Protocol):
    """A schedule: monotone in time, 0 shares before it starts, the whole quantity at its end."""

    @property
    def quantity(self) -> int:
        """Shares of the whole schedule."""
        ...

    @property
    def end(self) -> datetime:
        """The moment (UTC) by which the whole quantity is planned."""
        ...

    def planned(self, t: datetime) -> int:
        """Return the shares planned to be done by `t`."""
        ...

    def due_times(self) -> tuple[datetime, ...]:
        """Return the moment each slice opens, oldest first; slice n ends where n + 1 opens."""
        ...


@dataclass(frozen=True, slots=True)
class TwapCurve:
    """Time-weighted average price: equal slices, evenly spaced over [start, end).

    Shares are rounded cumulatively: after slice i, round(quantity * i / slices). All slices have
    the same fractional part, so this is a largest-remainder rounding whose odd shares are spread
    over the schedule: the sum is exact, and each slice is within one share of quantity / slices.
    Raises InvalidInput on a quantity or a number of slices below 1, or an end not after the start.
    """

    quantity: int
    start: datetime
    end: datetime
    slices: int

    def __post_init__(self) -> None:
        if self.quantity < 1 or self.slices < 1:
            raise InvalidInput(
                f"a TWAP needs at least 1 share and 1 slice, not {self.quantity} shares in "
                f"{self.slices} slices; correct the order or the slice setting"
            )
        if self.end <= self.start:
            raise InvalidInput(
                f"a TWAP from {self.start} to {self.end} has no duration; give an end after start"
            )

    def planned(self, t: datetime) -> int:
        """Return the shares planned by `t`: those of every slice that has ended."""
        ended = bisect_right(_boundaries(self.start, self.end, self.slices), t) - 1
        if ended <= 0:
            return 0
        return (2 * self.quantity * ended + self.slices) // (2 * self.slices)

    def due_times(self) -> tuple[datetime, ...]:
        """Return the moment each slice opens, evenly spaced from the start."""
        return _boundaries(self.start, self.end, self.slices)[:-1]


@lru_cache(maxsize=256)
def _boundaries(start: datetime, end: datetime, slices: int) -> tuple[datetime, ...]:
    span = end - start
    return tuple(start + span * i / slices for i in range(slices + 1))


def _twap(parent: ParentOrder, slices: int) -> TargetCurve:
    return TwapCurve(parent.quantity, parent.start, parent.end, slices)


# An EXIT order has no schedule; its curve spans its life, and is never asked for a slice.
CURVES: dict[str, Callable[[ParentOrder, int], TargetCurve]] = {"TWAP": _twap, "EXIT": _twap}


def curve_for(parent: ParentOrder, slices: int) -> TargetCurve:
    """Return the curve that a parent's `algo` names; raise InvalidInput when none has that name."""
    builder = CURVES.get(parent.algo.upper())
    if builder is None:
        raise InvalidInput(
            f"order {parent.parent_id} asks for the unknown algo {parent.algo!r}; "
            f"use one of {', '.join(sorted(CURVES))}"
        )
    return builder(parent, slices)
