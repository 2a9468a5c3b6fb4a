"""One session of one instrument at one-second grain: mid, spread and volume.

Activity comes in bursts of seconds to minutes: it scales both volatility and volume, so that
returns of seconds have no memory but their sizes do (Cont, 2001, facts 1, 6 and 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.market.intraday import MinuteMatrix, split_exactly
from gateway.market.randomness import key_of, uniform_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINUTE = 60
SPREAD_BPS = 1.4  # typical quoted spread of a large company; one tick is the least
WIDTH = 8
ORDER_SHARE = 0.022  # usual shares of one resting order, of the root of the day's volume
SPREAD_HELD = 5  # seconds that a spread lasts
BURSTS = ((15, 0.45), (120, 0.5))  # seconds between draws of log activity, and its deviation


@dataclass(frozen=True, slots=True)
class SecondPath:
    """The undisturbed market of one session; every array has seconds + 1 entries, open to close.

    `mid` is USD; `spread` is ticks; `volume` is the shares traded in the second that ends there, of
    which `sold` hit the bid; `traded` is the volume since the open; `high` and `low` are the
    session's extremes of `mid` so far. `flow_key` names the limit orders of its book and `typical`
    is the usual size of one in shares.
    """

    flow_key: int
    typical: float
    mid: NDArray[np.float64]
    spread: NDArray[np.int64]
    volume: NDArray[np.int64]
    sold: NDArray[np.int64]
    traded: NDArray[np.int64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]


def second_path(
    key: int, ordinal: int, minutes: MinuteMatrix, volumes: NDArray[np.int64], vol: float
) -> SecondPath:
    """Return the one-second market between the points of a one-row minute matrix.

    `volumes` are the shares of each minute, `vol` the daily volatility. Mids stay inside each
    minute's high and low; the last mid is the close.
    """
    from scipy.special import ndtri

    count = len(volumes)
    session = key_of(key, "seconds", ordinal)
    uniforms = uniform_rows(session, 0, count * MINUTE, WIDTH)
    activity = _activity(ndtri(uniforms[:, 4]), ndtri(uniforms[:, 5]))
    noise = ndtri(uniforms[:, 0]) * activity
    mid = _mids(noise.reshape(count, MINUTE), minutes, vol)
    traded = _spread_volume(volumes, uniforms[:, 1], activity)
    step = np.diff(mid, prepend=mid[0])
    lean = np.clip(0.5 - 400.0 * step / mid + 0.5 * (_padded(uniforms[:, 2]) - 0.5), 0.02, 0.98)
    return SecondPath(
        flow_key=key_of(key, "flow", ordinal) & (1 << 64) - 1,
        typical=max(60.0, ORDER_SHARE * float(np.sqrt(volumes.sum()))),
        mid=mid,
        spread=_spreads(mid, count, uniforms[:, 3]),
        volume=traded,
        sold=np.floor(traded * lean).astype(np.int64),
        traded=np.cumsum(traded),
        high=np.maximum.accumulate(mid),
        low=np.minimum.accumulate(mid),
    )


def _activity(fast: NDArray[np.float64], slow: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a positive factor for every second that changes in bursts; its mean is about one."""
    seconds = np.arange(len(fast))
    logs = np.zeros(len(fast))
    for draws, (every, deviation) in zip((fast, slow), BURSTS, strict=True):
        knots = seconds[::every]
        logs += deviation * np.interp(seconds, knots, draws[: len(knots)])
        logs -= deviation**2 / 2.0
    return np.exp(logs)


def _padded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate((values[:1], values))


def _mids(noise: NDArray[np.float64], minutes: MinuteMatrix, vol: float) -> NDArray[np.float64]:
    start, end = minutes.points[0, :-1], minutes.points[0, 1:]
    count = len(start)
    usual = 0.8 * vol / np.sqrt(count)
    spread = np.log(minutes.high[0] / minutes.low[0]) / 1.67  # Parkinson (1980)
    scale = np.clip(spread, 0.3 * usual, 4.0 * usual) / np.sqrt(MINUTE)
    walk = np.cumsum(noise * scale[:, None], axis=1)
    share = (np.arange(MINUTE) + 1.0) / MINUTE
    bridge = walk - walk[:, -1:] * share[None, :]
    inside = np.log(start)[:, None] + np.log(end / start)[:, None] * share[None, :] + bridge
    mids = np.clip(np.exp(inside), minutes.low[0][:, None], minutes.high[0][:, None])
    mids[:, -1] = end
    return np.concatenate((minutes.points[0, :1], mids.ravel()))


def _spread_volume(
    volumes: NDArray[np.int64], noise: NDArray[np.float64], activity: NDArray[np.float64]
) -> NDArray[np.int64]:
    weights = (-np.log(noise) * activity).reshape(len(volumes), MINUTE)
    parts = [split_exactly(int(total), row) for total, row in zip(volumes, weights, strict=True)]
    return np.concatenate((np.zeros(1, dtype=np.int64), *parts))


def _spreads(
    mid: NDArray[np.float64], minutes: int, noise: NDArray[np.float64]
) -> NDArray[np.int64]:
    place = np.linspace(0.0, 1.0, minutes * MINUTE + 1)
    shape = 1.0 + 2.0 * np.exp(-place * 25.0) + 0.4 * np.exp(-(1.0 - place) * 30.0)
    held = np.repeat(noise[::SPREAD_HELD], SPREAD_HELD)[: len(noise)]
    wanted = mid * SPREAD_BPS * 1e-4 * 100.0 * shape * (0.6 + 0.8 * _padded(held))
    return np.maximum(np.round(wanted), 1).astype(np.int64)
