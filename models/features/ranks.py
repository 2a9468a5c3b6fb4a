"""Cross-sectional ranks: where a symbol stands among its peers on one session."""

from __future__ import annotations

import numpy as np
import pandas as pd


def cross_sectional_rank(wide: pd.DataFrame) -> pd.DataFrame:
    """Rank each session's symbols evenly over [-0.5, 0.5]: lowest -0.5, highest 0.5, ties averaged.

    `wide` is sessions × symbols; NaN stays NaN and takes no place. A symbol alone ranks 0.
    """
    ranks = wide.rank(axis=1)
    gaps = (wide.notna().sum(axis=1) - 1).to_numpy(dtype=np.float64)[:, None]
    values = ranks.to_numpy(dtype=np.float64)
    spread = (values - 1.0) / np.where(gaps > 0, gaps, 1.0) - np.where(gaps > 0, 0.5, 0.0)
    return pd.DataFrame(spread, index=wide.index, columns=wide.columns)
