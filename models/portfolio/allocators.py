"""From signals to target weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from models.domain.errors import InvalidInput


class Allocator(Protocol):
    """Anything that turns signals and volatilities into weights of equity."""

    def weights(self, signals: pd.Series, volatilities: pd.Series) -> pd.Series:
        """Return a weight (fraction of equity) for every symbol of `signals`, 0 if not held.

        Both inputs are by symbol; a higher signal is better; volatilities are annualised.
        """
        ...


@dataclass(frozen=True, slots=True)
class TopQuantileInverseVolatility:
    """Hold the best `fraction` of symbols, long only, each sized to about the same risk.

    `gross` is the most of equity that is invested, `max_weight` the most in one symbol; both are
    fractions of equity. Raises InvalidInput when a fraction is not in (0, 1].
    """

    fraction: float = 0.4
    gross: float = 0.95
    max_weight: float = 0.15

    def __post_init__(self) -> None:
        _require_fraction("fraction", self.fraction)
        _require_fraction("gross", self.gross)
        _require_fraction("max_weight", self.max_weight)

    def weights(self, signals: pd.Series, volatilities: pd.Series) -> pd.Series:
        """Weight the top symbols by 1/volatility, what is above the cap spread over the others.

        Holds round(fraction · symbols), at least one; equal signals go by symbol. The weights sum
        to `gross`, or to less when every held symbol is at its cap. Raises InvalidInput when a
        signal is not finite, all are the same, or a held symbol's volatility is not positive.
        """
        _require_signals(signals)
        if not volatilities.index.is_unique:
            raise InvalidInput("volatilities name a symbol twice; pass one for each symbol")
        order = sorted(signals.index, key=lambda symbol: (-float(signals[symbol]), str(symbol)))
        held = order[: max(1, round(self.fraction * len(order)))]
        risk = volatilities.reindex(held).to_numpy(dtype=np.float64)
        if not (np.isfinite(risk) & (risk > 0)).all():
            bad = [name for name, value in zip(held, risk, strict=True) if not 0 < value < np.inf]
            raise InvalidInput(
                f"no positive volatility for {bad}; ingest their history or leave them out"
            )
        result = pd.Series(0.0, index=signals.index, name="weight")
        result.loc[held] = capped_shares(1.0 / risk, self.gross, self.max_weight)
        return result


@dataclass(frozen=True, slots=True)
class EqualWeight:
    """Hold every symbol with the same weight, whatever the signals say: the honest benchmark.

    `gross` is the fraction of equity that is invested.
    """

    gross: float = 0.95

    def __post_init__(self) -> None:
        _require_fraction("gross", self.gross)

    def weights(self, signals: pd.Series, volatilities: pd.Series) -> pd.Series:
        """Weight each symbol gross / n; raise InvalidInput for constant or non-finite signals."""
        _require_signals(signals)
        return pd.Series(self.gross / len(signals), index=signals.index, name="weight")


def capped_shares(preferences: np.ndarray, total: float, cap: float) -> np.ndarray:
    """Split `total` in proportion to positive `preferences`, none above `cap`.

    What the cap cuts off is spread over the uncapped in proportion, until nothing is above it. If
    all end at the cap, less than `total` is given out.
    """
    shares = np.zeros(len(preferences))
    free = np.ones(len(preferences), dtype=bool)
    left = total
    while free.any():
        proposed = left * preferences / preferences[free].sum()
        over = free & (proposed >= cap)
        if not over.any():
            shares[free] = proposed[free]
            break
        shares[over] = cap
        free &= ~over
        left = max(0.0, total - cap * float((~free).sum()))
    return shares


def _require_signals(signals: pd.Series) -> None:
    if signals.empty or not signals.index.is_unique:
        raise InvalidInput("signals are empty or name a symbol twice; pass one for each symbol")
    values = signals.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        bad = [str(name) for name in signals.index[~np.isfinite(values)]]
        raise InvalidInput(f"signals of {bad} are not finite; score them again or leave them out")
    if len(values) > 1 and np.ptp(values) == 0.0:
        raise InvalidInput("all signals are the same and rank nothing; do not trade on them")


def _require_fraction(name: str, value: float) -> None:
    if not 0.0 < value <= 1.0:
        raise InvalidInput(f"{name} is {value}; give a fraction above 0 and up to 1")
