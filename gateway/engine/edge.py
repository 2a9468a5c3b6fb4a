"""The engine's edge: where faults may hold, refuse or thin what the engine does, and its alarms."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.engine.orders import Execution, Order

NEVER = 1 << 62  # microseconds beyond every calendar
Fills = list[tuple[int, int]]  # (cents, shares)


class Edge:
    """What an exchange asks before it acts; this one lets everything pass."""

    def veto(self, order: Order) -> str | None:
        """Return why a new order is rejected (201, then Inactive), or None."""
        return None

    def hold(self, order: Order) -> bool:
        """Say whether an order about to be worked is kept back."""
        return False

    def thin(self, order: Order, fills: Fills) -> Fills:
        """Return the fills that an arriving order gets of those that the book offers."""
        return fills

    def filled(self, execution: Execution) -> None:
        """Note a fill at the moment it happens."""


class Alarms:
    """Calls that are due at exact moments of market time, in order of moment and of setting."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def next(self) -> int:
        """The moment of the first alarm (microseconds), NEVER without one."""
        return self._due[0][0] if self._due else NEVER

    def at(self, moment: int, call: Callable[[], None]) -> None:
        """Set an alarm; one that is past rings at the next moment."""
        heapq.heappush(self._due, (moment, next(self._order), call))

    def ring(self, now: int) -> None:
        """Make every call that is due at `now`."""
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
