"""Closes of instruments that have no real history: funds, indices, rates, simulated companies.

Each is a function of the seed and of the companies' closes, session by session, so that a longer
history never changes an earlier price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.market.randomness import key_of, uniform_rows
from gateway.market.universe import Instrument, Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECAY = 0.94  # RiskMetrics (1996)
FLOORS = {"CASH": 0.002, "IND": 0.004}
RETURN_RATE = 0.004  # a day, of a rate to its level
YEAR = 252


@dataclass(frozen=True, slots=True)
class Series:
    """Closes and daily log volatilities by ordinal."""

    closes: NDArray[np.float64]
    vols: NDArray[np.float64]


def derived_series(
    instrument: Instrument, seed: int, companies: NDArray[np.float64], anchor: int
) -> Series:
    """Return a simulated instrument's closes and volatilities.

    `companies` are the real columns' closes, shape (sessions, companies); `anchor` is the ordinal
    at which the price is the recipe's level. Raises ValueError when there is no recipe.
    """
    recipe = instrument.recipe
    if recipe is None:
        raise ValueError(f"{instrument.symbol} has real closes")
    key = key_of(seed, "closes", instrument.local_symbol)
    if recipe.kind == "fear":
        closes = 100.0 * np.sqrt(YEAR) * ewma(_basket(companies, recipe.parts), 0.006)
    elif recipe.kind == "rate":
        closes = recipe.level * np.exp(_rate(key, len(companies), recipe.vol))
    else:
        logs = np.cumsum(_returns(key, companies, recipe))
        closes = recipe.level * np.exp(logs - logs[anchor])
    tick = float(instrument.tick)
    closes = np.round(np.maximum(np.round(closes / tick), 1.0) * tick, instrument.digits)
    steps = np.diff(np.log(closes), prepend=np.log(closes[0]))
    return Series(closes, ewma(steps, FLOORS.get(instrument.sec_type, 0.006)))


def _returns(key: int, companies: NDArray[np.float64], recipe: Recipe) -> NDArray[np.float64]:
    if recipe.kind == "basket":
        return _basket(companies, recipe.parts)
    market = _basket(companies, tuple(range(companies.shape[1])))
    return recipe.beta * market + recipe.vol * _normals(key, len(companies))


def _basket(companies: NDArray[np.float64], parts: tuple[int, ...]) -> NDArray[np.float64]:
    """Return daily log returns of an equally weighted, daily rebalanced basket."""
    prices = companies[:, list(parts)]
    simple = np.mean(prices[1:] / prices[:-1], axis=1)
    return np.concatenate(([0.0], np.log(simple)))


def _rate(key: int, count: int, vol: float) -> NDArray[np.float64]:
    """Return a log deviation that returns to zero (an AR(1))."""
    level, levels = 0.0, np.empty(count)
    for place, noise in enumerate(_normals(key, count).tolist()):
        level += vol * noise - RETURN_RATE * level
        levels[place] = level
    return levels


def _normals(key: int, count: int) -> NDArray[np.float64]:
    from scipy.special import ndtri

    return ndtri(uniform_rows(key, 0, count, 4)[:, 0])


def ewma(returns: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Return exponentially weighted daily volatilities, at least `floor`, at most 0.12."""
    variance, variances = (2.0 * floor) ** 2, np.empty(len(returns))
    for place, squared in enumerate((returns**2).tolist()):
        variance = DECAY * variance + (1.0 - DECAY) * squared
        variances[place] = variance
    return np.clip(np.sqrt(variances), floor, 0.12)
