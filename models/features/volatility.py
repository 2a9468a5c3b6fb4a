"""Realised volatility: how much a symbol has moved, for sizing positions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.domain.errors import InvalidInput
from models.features.closes import bridge_gaps, log_closes

SESSIONS_PER_YEAR = 252


def realised_volatility(closes: pd.DataFrame, window: int = 63) -> pd.Series:
    """Return each symbol's annualised volatility of daily log returns, as of the last session.

    `closes` is sessions × symbols in USD. The sample standard deviation is taken over the last
    `window` returns, short gaps bridged; a symbol with a return missing there has NaN. Raises
    InvalidInput when `window` is under 2 or there are not `window` + 1 sessions.
    """
    if window < 2 or len(closes) <= window:
        raise InvalidInput(
            f"volatility over {window} sessions needs at least {max(window, 2) + 1} sessions of "
            f"closes and got {len(closes)}; ingest more history or shorten the window"
        )
    returns = log_closes(bridge_gaps(closes)).diff().iloc[-window:]
    return returns.std(skipna=False) * np.sqrt(SESSIONS_PER_YEAR)
