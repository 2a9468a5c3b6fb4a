"""What the information coefficients of many sessions cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from bench.figures import Figure, at_most
from bench.sample import sample_bars
from bench.timing import in_turns
from models.alpha.evaluation import session_ics
from models.features.closes import close_matrix, log_closes

SESSIONS = 2000
REPETITIONS = 3


def measure() -> Iterator[Figure]:
    """Correlate 12-1 momentum with the next five sessions' returns, over 2,000 sessions.

    The rival calls scipy.stats.spearmanr once a session. Raises RuntimeError when they differ.
    """
    logs = log_closes(close_matrix(sample_bars()))
    forecast = (logs.shift(21) - logs.shift(252)).iloc[-SESSIONS - 5 : -5]
    outcome = (logs.shift(-5) - logs).iloc[-SESSIONS - 5 : -5]
    if not np.allclose(session_ics(forecast, outcome), _one_by_one(forecast, outcome)):
        raise RuntimeError("session_ics and scipy disagree; look into models/alpha/evaluation.py")
    pair = in_turns(
        lambda: session_ics(forecast, outcome), lambda: _one_by_one(forecast, outcome), REPETITIONS
    )
    taken, scipy = pair.medians
    rival = "scipy.stats.spearmanr, session by session"
    yield Figure("models.session_ics", taken * 1e3, "ms", rival, scipy * 1e3, at_most(0.05))


def _one_by_one(forecast: pd.DataFrame, outcome: pd.DataFrame) -> list[float]:
    rows = zip(forecast.to_numpy(), outcome.to_numpy(), strict=True)
    return [_rho(spearmanr(x, y)) for x, y in rows]


def _rho(result: Any) -> float:  # scipy's result type has no names for a type checker
    return float(result.statistic)
