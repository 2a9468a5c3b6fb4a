"""One session of one instrument at one-second grain: mid, spread, displayed sizes and volume."""

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
DEPTH_WIDTH = 20
LEVELS = 10


@dataclass(frozen=True, slots=True)
class SecondPath:
    """The undisturbed market of one session; every array has seconds + 1 entries, open to close.

    `mid` is USD; `spread` is ticks; `bid_size` and `ask_size` are shares at the touch; `volume` is
    the shares traded in the second that ends there, of which `sold` hit the bid; `last_is_bid` says
    on which side the last trade was; `traded` is the volume since the open; `high` and `low` are
    the session's extremes of `mid` so far.
    """

    depth_key: int
    mid: NDArray[np.float64]
    spread: NDArray[np.int64]
    bid_size: NDArray[np.int64]
    ask_size: NDArray[np.int64]
    volume: NDArray[np.int64]
    sold: NDArray[np.int64]
    last_is_bid: NDArray[np.bool_]
    traded: NDArray[np.int64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]

    def level_sizes(self, second: int, buy: bool) -> list[int]:
        """Return the shares resting at the ten best prices that a taker meets, touch first."""
        touch = int(self.ask_size[second] if buy else self.bid_size[second])
        noise = uniform_rows(self.depth_key, second, 1, DEPTH_WIDTH)[0]
        half = noise[:LEVELS] if buy else noise[LEVELS:]
        sizes = [touch]
        for level in range(1, LEVELS):
            grown = touch * (1.0 + 0.35 * level) * (0.4 + 1.2 * float(half[level]))
            sizes.append(max(100, int(grown) // 100 * 100))
        return sizes


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
    mid = _mids(ndtri(uniforms[:, 0]).reshape(count, MINUTE), minutes, vol)
    traded = _spread_volume(volumes, uniforms[:, 1])
    step = np.diff(mid, prepend=mid[0])
    lean = np.clip(0.5 - 400.0 * step / mid + 0.5 * (_padded(uniforms[:, 2]) - 0.5), 0.02, 0.98)
    base = max(100.0, 0.05 * float(np.sqrt(volumes.sum())))
    return SecondPath(
        depth_key=key_of(key, "depth", ordinal),
        mid=mid,
        spread=_spreads(mid, count, uniforms[:, 3]),
        bid_size=_sizes(base, uniforms[:, 4]),
        ask_size=_sizes(base, uniforms[:, 5]),
        volume=traded,
        sold=np.floor(traded * lean).astype(np.int64),
        last_is_bid=lean > 0.5,
        traded=np.cumsum(traded),
        high=np.maximum.accumulate(mid),
        low=np.minimum.accumulate(mid),
    )


def _padded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate((values[:1], values))


def _mids(noise: NDArray[np.float64], minutes: MinuteMatrix, vol: float) -> NDArray[np.float64]:
    start, end = minutes.points[0, :-1], minutes.points[0, 1:]
    count = len(start)
    scale = 0.8 * vol / np.sqrt(count * MINUTE)
    walk = np.cumsum(noise * scale, axis=1)
    share = (np.arange(MINUTE) + 1.0) / MINUTE
    bridge = walk - walk[:, -1:] * share[None, :]
    inside = np.log(start)[:, None] + np.log(end / start)[:, None] * share[None, :] + bridge
    mids = np.clip(np.exp(inside), minutes.low[0][:, None], minutes.high[0][:, None])
    mids[:, -1] = end
    return np.concatenate((minutes.points[0, :1], mids.ravel()))


def _spread_volume(volumes: NDArray[np.int64], noise: NDArray[np.float64]) -> NDArray[np.int64]:
    weights = (-np.log(noise)).reshape(len(volumes), MINUTE)
    parts = [split_exactly(int(total), row) for total, row in zip(volumes, weights, strict=True)]
    return np.concatenate((np.zeros(1, dtype=np.int64), *parts))


def _spreads(
    mid: NDArray[np.float64], minutes: int, noise: NDArray[np.float64]
) -> NDArray[np.int64]:
    place = np.linspace(0.0, 1.0, minutes * MINUTE + 1)
    shape = 1.0 + 2.0 * np.exp(-place * 25.0) + 0.4 * np.exp(-(1.0 - place) * 30.0)
    wanted = mid * SPREAD_BPS * 1e-4 * 100.0 * shape * (0.6 + 0.8 * _padded(noise))
    return np.maximum(np.round(wanted), 1).astype(np.int64)


def _sizes(base: float, noise: NDArray[np.float64]) -> NDArray[np.int64]:
    lots = np.ceil(base * (0.3 - 0.9 * np.log(_padded(noise))) / 100.0)
    return (np.maximum(lots, 1) * 100).astype(np.int64)
