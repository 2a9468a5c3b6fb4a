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
HEAD = 4
PATH_WIDTH = HEAD + 3 * FULL_DAY + 2  # a multiple of four
VOLUME_WIDTH = FULL_DAY + 2


@dataclass(frozen=True, slots=True)
class MinuteMatrix:
    """Minute bars of some sessions of one instrument, all of one length.

    `points` is (rows, minutes + 1) in USD from open to close; `high` and `low` are (rows, minutes).
    """

    points: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]


@lru_cache(maxsize=8)
def u_shape(minutes: int, edge: float = 2.2, floor: float = 0.6) -> NDArray[np.float64]:
    """Return weights over the session's minutes that are high at both ends and sum to one."""
    place = (np.arange(minutes) + 0.5) / minutes
    shape = floor + edge * np.exp(-place * 9.0) + 0.7 * edge * np.exp(-(1.0 - place) * 12.0)
    return shape / shape.sum()


def round_price(prices: NDArray[np.float64], cents: bool) -> NDArray[np.float64]:
    """Round to cents, or (adjusted history) to 1/100 of a cent and finer below ten dollars."""
    if cents:
        return np.maximum(np.round(prices, 2), 0.01)
    return np.where(prices >= 10.0, np.round(prices, 4), np.round(prices, 6))


@dataclass(frozen=True, slots=True)
class Days:
    """Consecutive sessions of one instrument, all of one length, from which paths are drawn.

    `key` names the random stream and `first` the ordinal of row 0. `previous`, `closes` (USD) and
    `vols` (daily, log) have shape (rows,). `cents` says that prices lie on whole cents.
    """

    key: int
    first: int
    previous: NDArray[np.float64]
    closes: NDArray[np.float64]
    vols: NDArray[np.float64]
    minutes: int = FULL_DAY
    cents: bool = False

    def row(self, place: int, minutes: int, cents: bool) -> Days:
        """Return one session on its own."""
        one = slice(place, place + 1)
        inputs = (self.previous[one], self.closes[one], self.vols[one])
        return Days(self.key, self.first + place, *inputs, minutes, cents)


@dataclass(frozen=True, slots=True)
class _LogPaths:
    """Log prices: `points` (rows, minutes + 1), the minutes' `high` and `low` (rows, minutes)."""

    points: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]


def _log_paths(days: Days) -> _LogPaths:
    from scipy.special import ndtri

    rows, minutes = len(days.closes), days.minutes
    uniforms = uniform_rows(key_of(days.key, "path"), days.first, rows, PATH_WIDTH)
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
    ups = uniforms[:, HEAD + FULL_DAY : HEAD + FULL_DAY + minutes]
    downs = uniforms[:, HEAD + 2 * FULL_DAY : HEAD + 2 * FULL_DAY + minutes]
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
    paths, cents = _log_paths(days), days.cents
    points = round_price(np.exp(paths.points), cents)
    points[:, -1] = days.closes
    start, end = points[:, :-1], points[:, 1:]
    return MinuteMatrix(
        points,
        np.maximum(round_price(np.exp(paths.high), cents), np.maximum(start, end)),
        np.minimum(round_price(np.exp(paths.low), cents), np.minimum(start, end)),
    )


def day_ranges(
    days: Days,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return each session's open, high and low: what `minute_matrix` aggregates to.

    Rounding does not change the order of prices, so that the extremes are found before it.
    """
    paths, cents, closes = _log_paths(days), days.cents, days.closes
    opened = round_price(np.exp(paths.points[:, 0]), cents)
    high = round_price(np.exp(paths.high.max(axis=1)), cents)
    low = round_price(np.exp(paths.low.min(axis=1)), cents)
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
    uniforms = uniform_rows(key_of(key, "minute-volume"), ordinal, 1, VOLUME_WIDTH)[0, :minutes]
    weights = u_shape(minutes, edge=2.8, floor=0.7) * (0.35 - 0.65 * np.log(uniforms))
    return split_exactly(day_volume, weights)


def split_exactly(total: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Split a whole number in proportion to `weights`, so that the parts sum to it exactly."""
    edges = np.round(np.cumsum(weights) / weights.sum() * total).astype(np.int64)
    edges[-1] = total
    return np.diff(edges, prepend=0)
