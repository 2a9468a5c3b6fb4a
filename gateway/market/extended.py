"""Pre- and after-market trading: thin, wide, and wandering between the closes and opens around it.

Pre-market walks from the last close to the day's open, after-market around the close and back, both
as Brownian bridges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.market.randomness import key_of, uniform_rows
from gateway.market.seconds import SPREAD_BPS, SecondPath
from gateway.market.universe import INSTRUMENTS
from gateway.timeline import Span, span_on

if TYPE_CHECKING:
    from gateway.market.market import Market

WIDER = 6.0  # spreads, of those in the session
VOLUME_SHARE = 0.01  # of a usual day's volume
WANDER = 0.15  # of a daily volatility


def extended_path(market: Market, column: int, span: Span) -> SecondPath:
    """Return the seconds of a stretch before the open or after the close; `span` says which."""
    ordinal = market.closes.ordinal(span.date)
    regular = span_on(span.date)
    assert regular is not None
    vol = float(market.closes.vols(column, ordinal, ordinal + 1)[0])
    close = market.closes.close(ordinal, column)
    if span.open < regular.open:
        end = market.opening_mid(column, ordinal)
        start = market.closes.close(ordinal - 1, column) if ordinal else end
    else:
        start = end = close
    symbol = INSTRUMENTS[column].local_symbol
    key = key_of(market.seed, symbol, "extended", ordinal, span.open < regular.open)
    return _path(key, span.seconds, (start, end), vol, INSTRUMENTS[column].volume)


def _path(
    key: int, seconds: int, ends: tuple[float, float], vol: float, day_volume: int
) -> SecondPath:
    from scipy.special import ndtri

    uniforms = uniform_rows(key, 0, seconds, 4)
    steps = ndtri(uniforms[:, 0]) * (WANDER * vol / np.sqrt(seconds))
    walk = np.concatenate(([0.0], np.cumsum(steps)))
    share = np.arange(seconds + 1) / seconds
    start, end = np.log(ends[0]), np.log(ends[1])
    mid = np.exp(start + (end - start) * share + walk - walk[-1] * share)
    noise = np.concatenate((uniforms[:1, 1], uniforms[:, 1]))
    spread = np.maximum(np.round(mid * SPREAD_BPS * 0.01 * WIDER * (0.5 + noise)), 2)
    per_second = VOLUME_SHARE * max(day_volume, 1) / seconds
    trades = np.where(uniforms[:, 2] < 0.15, -np.log(uniforms[:, 3]) * per_second / 0.15, 0.0)
    volume = np.concatenate(([0], trades.astype(np.int64)))
    sold = np.where(noise < 0.5, volume, 0)
    return SecondPath(
        flow_key=key & (1 << 64) - 1,
        typical=60.0,
        mid=mid,
        spread=spread.astype(np.int64),
        volume=volume,
        sold=sold,
        traded=np.cumsum(volume),
        high=np.maximum.accumulate(mid),
        low=np.minimum.accumulate(mid),
    )
