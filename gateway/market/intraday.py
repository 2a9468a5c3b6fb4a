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
class _LogPaths:
    """Log prices: `points` (rows, minutes + 1), the minutes' extremes `high`, `low` (rows, minutes)."""

    points: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]


def _log_paths(
    key: int,
    first: int,
    previous: NDArray[np.float64],
    closes: NDArray[np.float64],
    vols: NDArray[np.float64],
    minutes: int,
) -> _LogPaths:
    from scipy.special import ndtri

    rows = len(closes)
    uniforms = uniform_rows(key_of(key, "path"), first, rows, PATH_WIDTH)
    ending, started = np.log(closes), np.log(previous)
    gap_noise = GAP_NOISE * vols * np.clip(ndtri(uniforms[:, 0]), -3, 3)
    opening = started + GAP_SHARE * (ending - started) + gap_noise
    share = u_shape(minutes)
    scale = DAY_SHARE * vols
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
    doubled = 2.0 * share[None, :] * (scale**2)[:, None]
    start = points[:, :-1]
    moved = points[:, 1:] - start
    squared = moved**2
    extremes: list[NDArray[np.float64]] = []
    for offset, sign in ((HEAD + FULL_DAY, 1.0), (HEAD + 2 * FULL_DAY, -1.0)):
        reach = np.log(uniforms[:, offset : offset + minutes])
        reach *= doubled
        np.subtract(squared, reach, out=reach)
        np.sqrt(reach, out=reach)
        reach *= sign
        reach += moved
        reach *= 0.5
        reach += start
        extremes.append(reach)
    return _LogPaths(points, *extremes)


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
    paths = _log_paths(key, first, previous, closes, vols, minutes)
    points = round_price(np.exp(paths.points), cents)
    points[:, -1] = closes
    start, end = points[:, :-1], points[:, 1:]
    return MinuteMatrix(
        points,
        np.maximum(round_price(np.exp(paths.high), cents), np.maximum(start, end)),
        np.minimum(round_price(np.exp(paths.low), cents), np.minimum(start, end)),
    )


def day_ranges(
    key: int,
    first: int,
    previous: NDArray[np.float64],
    closes: NDArray[np.float64],
    vols: NDArray[np.float64],
    minutes: int,
    cents: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return each session's open, high and low: what `minute_matrix` aggregates to.

    Rounding does not change the order of prices, so that the extremes are found before it.
    """
    paths = _log_paths(key, first, previous, closes, vols, minutes)
    opened = round_price(np.exp(paths.points[:, 0]), cents)
    high = round_price(np.exp(paths.high.max(axis=1)), cents)
    low = round_price(np.exp(paths.low.min(axis=1)), cents)
    high = np.maximum(np.maximum(high, opened), closes)
    return opened, high, np.minimum(np.minimum(low, opened), closes)


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
