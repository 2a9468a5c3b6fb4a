"""Time a candidate and its rival in turns, so that a noisy machine disturbs both alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds that a candidate and its rival took, repetition by repetition."""

    candidate: list[float] = field(default_factory=list[float])
    rival: list[float] = field(default_factory=list[float])

    @property
    def medians(self) -> tuple[float, float]:
        """The median seconds of the candidate, and of the rival."""
        return statistics.median(self.candidate), statistics.median(self.rival)


def seconds(action: Callable[[], object]) -> float:
    """Return how long `action` takes, its result kept alive until the clock has stopped."""
    started = time.perf_counter()
    kept = action()
    took = time.perf_counter() - started
    del kept
    return took


def in_turns(
    candidate: Callable[[], object],
    rival: Callable[[], object],
    repetitions: int,
    warm_ups: int = 1,
) -> Pair:
    """Time both in turns after some warm-ups, garbage of earlier work collected before each."""
    pair = Pair()
    for number in range(warm_ups + repetitions):
        for action, times in ((candidate, pair.candidate), (rival, pair.rival)):
            gc.collect()
            took = seconds(action)
            if number >= warm_ups:
                times.append(took)
    return pair


def quantile(times: list[float], share: float) -> float:
    """Return the smallest of `times` that at least `share` of them do not exceed."""
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
