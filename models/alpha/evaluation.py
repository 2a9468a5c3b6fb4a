"""How good out-of-sample forecasts were: information coefficients and the quintile spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from models.alpha.inference import newey_west_lag, newey_west_t
from models.alpha.walk_forward import Fold
from models.domain.errors import InvalidInput
from models.features.ranks import cross_sectional_rank

MIN_SYMBOLS = 3
MIN_SESSIONS = 20


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The out-of-sample record of one recipe on one set of test rows.

    ICs are per-session Spearman correlations of scores with forward returns; `icir` is their mean
    over their standard deviation, per session; `spread_bps` is the mean forward simple return of
    the top quintile minus the bottom's, in bps per `horizon` sessions, before costs;
    `baseline_ic` is the mean IC of 12-1 momentum on the same rows.
    """

    horizon: int
    first_session: date
    last_session: date
    sessions: int
    rows: int
    mean_ic: float
    ic_std: float
    icir: float
    t_stat: float
    fold_ics: tuple[float, ...]
    spread_bps: float
    baseline_ic: float

    @property
    def positive_folds(self) -> float:
        """The share of folds with a mean IC above zero."""
        return sum(ic > 0 for ic in self.fold_ics) / len(self.fold_ics)

    def metrics(self) -> dict[str, float]:
        """Return the figures by name, for an experiment tracker."""
        return {
            "mean_ic": self.mean_ic,
            "ic_std": self.ic_std,
            "icir": self.icir,
            "t_stat": self.t_stat,
            "positive_folds": self.positive_folds,
            "spread_bps": self.spread_bps,
            "baseline_ic": self.baseline_ic,
            "test_sessions": float(self.sessions),
            "test_rows": float(self.rows),
            **{f"ic_fold_{i}": ic for i, ic in enumerate(self.fold_ics, start=1)},
        }


def evaluate(
    scores: pd.Series,
    returns: pd.Series,
    baseline: pd.Series,
    folds: Sequence[Fold],
    horizon: int,
) -> Evaluation:
    """Judge out-of-sample scores against forward log returns, all three by (session, symbol).

    Rows without a return are left out, and so are sessions with under MIN_SYMBOLS symbols. The
    t-statistic of the mean IC is corrected for overlapping horizons (see `inference`). Raises
    InvalidInput when scores lie outside every fold's test window, a fold has no session to judge,
    there are under MIN_SESSIONS, or a scored row has no baseline.
    """
    both = scores.index.intersection(returns.index, sort=False)
    missing = both.difference(baseline.index)
    if len(missing):
        raise InvalidInput(f"{len(missing)} scored rows have no baseline; pass the momentum column")
    forecast, outcome = scores.loc[both].unstack(), returns.loc[both].unstack()
    ics = session_ics(forecast, outcome)
    if len(ics) < MIN_SESSIONS:
        raise InvalidInput(
            f"only {len(ics)} test sessions can be judged, {MIN_SESSIONS} are needed; ingest more "
            "history"
        )
    values = ics.to_numpy(dtype=np.float64)
    deviation = float(values.std(ddof=1))
    return Evaluation(
        horizon=horizon,
        first_session=ics.index[0],
        last_session=ics.index[-1],
        sessions=len(ics),
        rows=len(both),
        mean_ic=float(values.mean()),
        ic_std=deviation,
        icir=float(values.mean()) / deviation if deviation > 0 else 0.0,
        t_stat=newey_west_t(values, newey_west_lag(len(values), horizon)),
        fold_ics=_by_fold(ics, folds),
        spread_bps=_spread_bps(forecast, outcome),
        baseline_ic=float(session_ics(baseline.loc[both].unstack(), outcome).mean()),
    )


def session_ics(forecast: pd.DataFrame, outcome: pd.DataFrame) -> pd.Series:
    """Return each session's Spearman rank correlation of two sessions × symbols frames.

    Cells missing from either frame are ignored. Sessions with under MIN_SYMBOLS pairs, or whose
    outcomes are all the same, are left out; a forecast that is all the same says nothing and
    counts as 0.
    """
    known = forecast.notna() & outcome.notna()
    x = cross_sectional_rank(forecast.where(known)).to_numpy(dtype=np.float64)
    y = cross_sectional_rank(outcome.where(known)).to_numpy(dtype=np.float64)
    # Ranks average exactly zero over a session, ties or not, so no mean needs to be taken off.
    cross = np.nansum(x * y, axis=1)
    power_x, power_y = np.nansum(x * x, axis=1), np.nansum(y * y, axis=1)
    scale = np.sqrt(power_x * power_y)
    ics = np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0)
    judged = (known.sum(axis=1).to_numpy() >= MIN_SYMBOLS) & (power_y > 0)
    return pd.Series(ics[judged], index=forecast.index[judged], name="ic")


def _spread_bps(forecast: pd.DataFrame, outcome: pd.DataFrame) -> float:
    known = forecast.notna() & outcome.notna()
    masked = forecast.where(known)
    counts = known.sum(axis=1)
    place = (masked.rank(axis=1) - 0.5).div(counts.where(counts > 0), axis=0)
    simple = np.expm1(outcome.where(known).to_numpy(dtype=np.float64))
    returns = pd.DataFrame(simple, index=forecast.index, columns=forecast.columns)
    top = returns.where(place > 0.8).mean(axis=1)
    bottom = returns.where(place < 0.2).mean(axis=1)
    spreads = (top - bottom)[counts >= MIN_SYMBOLS].fillna(0.0)
    return float(spreads.mean()) * 10_000.0


def _by_fold(ics: pd.Series, folds: Sequence[Fold]) -> tuple[float, ...]:
    sessions = list(ics.index)
    values = ics.to_numpy(dtype=np.float64)
    means: list[float] = []
    judged = 0
    for fold in folds:
        inside = np.array([fold.test_start <= day <= fold.test_end for day in sessions])
        if not inside.any():
            raise InvalidInput(f"fold {fold.number} has no session to judge; use fewer folds")
        judged += int(inside.sum())
        means.append(float(values[inside].mean()))
    if judged != len(sessions):
        raise InvalidInput("some scores lie outside the test windows; score test rows only")
    return tuple(means)
