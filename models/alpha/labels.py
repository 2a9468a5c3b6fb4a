"""What the ranker learns to forecast: forward returns and their cross-sectional ranks."""

from __future__ import annotations

import pandas as pd

from models.domain.errors import InvalidInput
from models.features.closes import log_closes, to_long
from models.features.ranks import cross_sectional_rank


def forward_returns(closes: pd.DataFrame, horizon: int) -> pd.Series:
    """Return the log return from session t to the `horizon`-th session after it, at row t.

    `closes` is sessions × symbols in USD; the result is by (session, symbol). Rows whose horizon
    has not passed, or without a close at either end, are left out. Raises InvalidInput when
    `horizon` is under 1.
    """
    return to_long(_forward(closes, horizon), "forward_return")


def rank_labels(closes: pd.DataFrame, horizon: int) -> pd.Series:
    """Rank each session's forward returns over [-0.5, 0.5]; rows and errors as forward_returns."""
    return to_long(cross_sectional_rank(_forward(closes, horizon)), "label")


def _forward(closes: pd.DataFrame, horizon: int) -> pd.DataFrame:
    if horizon < 1:
        raise InvalidInput(f"the horizon is {horizon} sessions; give 1 or more")
    logs = log_closes(closes)
    return logs.shift(-horizon) - logs
