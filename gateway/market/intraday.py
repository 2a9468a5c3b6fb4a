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


def minute_matrix(
    key: int,
    first: int,
    previous: NDArray[np.float64],
    closes: NDArray[np.float64],
    vols: NDArray[np.float64],
    minutes: int,
    cents: bool = False,
) -> MinuteMatrix:
    """Return the minute bars of sessions [first, first + rows) of the stream `key`.

    `previous`, `closes` and `vols` have shape (rows,): last close and close in USD, daily log
    volatility. A row depends on its own inputs and ordinal only.
    """
    from scipy.special import ndtri

    rows = len(closes)
    uniforms = uniform_rows(key_of(key, "path"), first, rows, PATH_WIDTH)
    day_return = np.log(closes / previous)
    gap = GAP_SHARE * day_return + GAP_NOISE * vols * np.clip(ndtri(uniforms[:, 0]), -3, 3)
    opening = np.log(previous) + gap
    variance = u_shape(minutes)[None, :] * (DAY_SHARE * vols[:, None]) ** 2
    steps = ndtri(uniforms[:, HEAD : HEAD + minutes]) * np.sqrt(variance)
    walk = np.zeros((rows, minutes + 1))
    np.cumsum(steps, axis=1, out=walk[:, 1:])
    clock = np.zeros(minutes + 1)
    np.cumsum(u_shape(minutes), out=clock[1:])
    clock /= clock[-1]
    drift = np.log(closes) - opening - walk[:, -1]
    log_points = opening[:, None] + walk + drift[:, None] * clock[None, :]
    points = round_price(np.exp(log_points), cents)
    points[:, -1] = closes
    return _with_extremes(points, variance, uniforms[:, HEAD + FULL_DAY :], cents)


def _with_extremes(
    points: NDArray[np.float64],
    variance: NDArray[np.float64],
    uniforms: NDArray[np.float64],
    cents: bool,
) -> MinuteMatrix:
    minutes = variance.shape[1]
    start, end = points[:, :-1], points[:, 1:]
    moved = np.log(end / start)
    squared, doubled = moved**2, 2.0 * variance
    up = 0.5 * (moved + np.sqrt(squared - doubled * np.log(uniforms[:, :minutes])))
    down = 0.5 * (
        moved - np.sqrt(squared - doubled * np.log(uniforms[:, FULL_DAY : FULL_DAY + minutes]))
    )
    ends_high, ends_low = np.maximum(start, end), np.minimum(start, end)
    high = np.maximum(round_price(start * np.exp(up), cents), ends_high)
    low = np.minimum(round_price(start * np.exp(down), cents), ends_low)
    return MinuteMatrix(points, high, low)


def day_volumes(
    key: int, first: int, typical: int, returns: NDArray[np.float64], vols: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the shares traded in each session: lognormal, larger on days of large moves."""
    from scipy.special import ndtri

    noise = ndtri(uniform_rows(key_of(key, "day-volume"), first, len(returns), 4)[:, 0])
    surprise = np.clip(np.abs(returns) / vols, 0.0, 5.0) - 0.8
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
