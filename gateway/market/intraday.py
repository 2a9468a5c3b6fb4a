"""Minute paths inside the day, simulated around each session's close.

A session opens after an overnight gap and then runs to its close as a Brownian bridge in log price
whose variance is U-shaped over the day (Wood, McInish & Ord, 1985). Each minute's high and low are
the extremes of a Brownian bridge between its two ends (Karatzas & Shreve, 1991, problem 4.3.40).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gateway.market.randomness import key_of, uniform_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL_DAY = 390
GAP_SHARE = 0.35  # of the day's return that happens overnight
GAP_NOISE = 0.30  # of a daily volatility
DAY_SHARE = 0.80  # of a daily volatility that is spent inside the session
ROUND_THE_CLOCK = 1425  # minutes of a forex day, 17:15 to 17:00
HEAD = 4


@dataclass(frozen=True, slots=True)
class MinuteMatrix:
    """Minute bars of some sessions of one instrument, all of one length.

    `points` is (rows, minutes + 1) in USD from open to close; `high` and `low` are (rows, minutes).
    `open` (rows, minutes) is where each minute starts, when not where the one before it ended.
    """

    points: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    open: NDArray[np.float64] | None = None

    @property
    def opens(self) -> NDArray[np.float64]:
        """The first price of each minute, shape (rows, minutes)."""
        return self.points[:, :-1] if self.open is None else self.open


@lru_cache(maxsize=8)
def u_shape(minutes: int, edge: float = 2.2, floor: float = 0.6) -> NDArray[np.float64]:
    """Return weights over the session's minutes that are high at both ends and sum to one."""
    place = (np.arange(minutes) + 0.5) / minutes
    shape = floor + edge * np.exp(-place * 9.0) + 0.7 * edge * np.exp(-(1.0 - place) * 12.0)
    return shape / shape.sum()


def round_price(prices: NDArray[np.float64], tick: float) -> NDArray[np.float64]:
    """Round to a tick, or (0: adjusted history) to 1/100 of a cent, finer below ten dollars."""
    if tick == 0.01:
        return np.maximum(np.round(prices, 2), 0.01)
    if tick:
        return np.round(np.maximum(np.round(prices / tick), 1.0) * tick, 6)
    return np.where(prices >= 10.0, np.round(prices, 4), np.round(prices, 6))


def longest_day(minutes: int) -> int:
    """Return the full length of days like one of `minutes`: a stock's or a forex day."""
    return FULL_DAY if minutes <= FULL_DAY else ROUND_THE_CLOCK


def _whole(width: int) -> int:
    return (width + 3) // 4 * 4


@dataclass(frozen=True, slots=True)
class Days:
    """Consecutive sessions of one instrument, all of one length, from which paths are drawn.

    `key` names the random stream and `first` the ordinal of row 0. `previous`, `closes` (USD) and
    `vols` (daily, log) have shape (rows,). `tick` is the grid of prices (0: adjusted history).
    """

    key: int
    first: int
    previous: NDArray[np.float64]
    closes: NDArray[np.float64]
    vols: NDArray[np.float64]
    minutes: int = FULL_DAY
    tick: float = 0.0

    @property
    def longest(self) -> int:
        """The minutes of a full day, for which the random stream has room."""
        return longest_day(self.minutes)

    def row(self, place: int, minutes: int, tick: float) -> Days:
        """Return one session on its own."""
        one = slice(place, place + 1)
        inputs = (self.previous[one], self.closes[one], self.vols[one])
        return Days(self.key, self.first + place, *inputs, minutes, tick)


@dataclass(frozen=True, slots=True)
class _LogPaths:
    """Log prices: `points` (rows, minutes + 1), the minutes' `high` and `low` (rows, minutes)."""

    points: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]


def _log_paths(days: Days) -> _LogPaths:
    from scipy.special import ndtri

    rows, minutes, full = len(days.closes), days.minutes, days.longest
    width = _whole(HEAD + 3 * full)
    uniforms = uniform_rows(key_of(days.key, "path"), days.first, rows, width)
    ending, started = np.log(days.closes), np.log(days.previous)
    gap_noise = GAP_NOISE * days.vols * np.clip(ndtri(uniforms[:, 0]), -3, 3)
    opening = started + GAP_SHARE * (ending - started) + gap_noise
    share = u_shape(minutes)
    scale = DAY_SHARE * days.vols
    steps = ndtri(uniforms[:, HEAD : HEAD + minutes])
    steps *= np.sqrt(share)
    steps *= scale[:, None]
    points = np.empty((rows, minutes + 1))
    points[:, 0] = 0.0
    np.cumsum(steps, axis=1, out=points[:, 1:])
    clock = np.concatenate(([0.0], np.cumsum(share)))
    clock /= clock[-1]
    points += (ending - opening - points[:, -1])[:, None] * clock[None, :]
    points += opening[:, None]
    points[:, -1] = ending
    start, moved = points[:, :-1], np.diff(points, axis=1)
    doubled = 2.0 * share[None, :] * (scale**2)[:, None]
    ups = uniforms[:, HEAD + full : HEAD + full + minutes]
    downs = uniforms[:, HEAD + 2 * full : HEAD + 2 * full + minutes]
    return _LogPaths(
        points,
        start + _reach(ups, doubled, moved, 1.0),
        start + _reach(downs, doubled, moved, -1.0),
    )


def _reach(
    uniforms: NDArray[np.float64],
    doubled: NDArray[np.float64],
    moved: NDArray[np.float64],
    sign: float,
) -> NDArray[np.float64]:
    """Return how far bridges that move by `moved` get above (or below) their start.

    `doubled` is twice their variance; worked in place, for this is where history spends its time.
    """
    reach = np.log(uniforms)
    reach *= doubled
    np.subtract(moved**2, reach, out=reach)
    np.sqrt(reach, out=reach)
    reach *= sign
    reach += moved
    reach *= 0.5
    return reach


def minute_matrix(days: Days) -> MinuteMatrix:
    """Return the minute bars of sessions; a row depends on its own inputs and ordinal only."""
    paths, tick = _log_paths(days), days.tick
    points = round_price(np.exp(paths.points), tick)
    points[:, -1] = days.closes
    start, end = points[:, :-1], points[:, 1:]
    return MinuteMatrix(
        points,
        np.maximum(round_price(np.exp(paths.high), tick), np.maximum(start, end)),
        np.minimum(round_price(np.exp(paths.low), tick), np.minimum(start, end)),
    )


def day_ranges(
    days: Days,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return each session's open, high and low: what `minute_matrix` aggregates to.

    Rounding does not change the order of prices, so that the extremes are found before it.
    """
    paths, tick, closes = _log_paths(days), days.tick, days.closes
    opened = round_price(np.exp(paths.points[:, 0]), tick)
    high = round_price(np.exp(paths.high.max(axis=1)), tick)
    low = round_price(np.exp(paths.low.min(axis=1)), tick)
    high = np.maximum(np.maximum(high, opened), closes)
    return opened, high, np.minimum(np.minimum(low, opened), closes)


def day_volumes(days: Days, typical: int) -> NDArray[np.int64]:
    """Return the shares traded in each session: lognormal, larger on days of large moves."""
    from scipy.special import ndtri

    uniforms = uniform_rows(key_of(days.key, "day-volume"), days.first, len(days.closes), 4)
    noise, returns = ndtri(uniforms[:, 0]), np.log(days.closes / days.previous)
    surprise = np.clip(np.abs(returns) / days.vols, 0.0, 5.0) - 0.8
    return (typical * np.exp(0.25 * noise + 0.25 * surprise)).astype(np.int64)


def minute_volumes(key: int, ordinal: int, day_volume: int, minutes: int) -> NDArray[np.int64]:
    """Split a session's volume over its minutes: U-shaped, noisy, summing to it exactly."""
    width = _whole(longest_day(minutes))
    uniforms = uniform_rows(key_of(key, "minute-volume"), ordinal, 1, width)[0, :minutes]
    weights = u_shape(minutes, edge=2.8, floor=0.7) * (0.35 - 0.65 * np.log(uniforms))
    return split_exactly(day_volume, weights)


def split_exactly(total: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Split a whole number in proportion to `weights`, so that the parts sum to it exactly."""
    edges = np.round(np.cumsum(weights) / weights.sum() * total).astype(np.int64)
    edges[-1] = total
    return np.diff(edges, prepend=0)
