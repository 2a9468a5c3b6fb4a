"""The close matrix: bars in long format turned into sessions by symbols."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.domain.errors import InvalidInput

# A missing bar (a halt, a late vendor) is bridged for at most a week; without this, one lost bar
# would silence a symbol for a year.
CARRY_SESSIONS = 5
_NEEDED = ("symbol", "session", "close")


def close_matrix(bars: pd.DataFrame) -> pd.DataFrame:
    """Pivot bars to closes: sessions (datetime.date, ascending) × symbols (ascending), USD.

    A symbol without a bar on a session is NaN there. Raises InvalidInput for missing columns, no
    rows, two bars of one symbol on one session, or a close that is not a positive finite number.
    """
    missing = [name for name in _NEEDED if name not in bars.columns]
    if missing:
        raise InvalidInput(f"bars lack the columns {missing}; load them from the warehouse")
    if bars.empty:
        raise InvalidInput("there are no bars; run `robo ingest` first")
    values = bars["close"].to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        raise InvalidInput(
            f"{int(bad.sum())} closes are not positive numbers, the first {_name(bars, bad)}; "
            "ingest that symbol again"
        )
    twice = bars.duplicated(["session", "symbol"]).to_numpy()
    if twice.any():
        raise InvalidInput(
            f"two bars for {_name(bars, twice)}; keep one bar for each symbol and session"
        )
    wide = bars.pivot(index="session", columns="symbol", values="close").astype("float64")
    wide.index = pd.Index(pd.to_datetime(wide.index).date, dtype=object, name="session")
    return wide.sort_index().sort_index(axis=1)


def bridge_gaps(closes: pd.DataFrame) -> pd.DataFrame:
    """Carry each symbol's last close over missing sessions, CARRY_SESSIONS at most."""
    return closes.ffill(limit=CARRY_SESSIONS)


def log_closes(closes: pd.DataFrame) -> pd.DataFrame:
    """Return the natural logarithm of a sessions × symbols frame of closes."""
    logs = np.log(closes.to_numpy(dtype=np.float64))
    return pd.DataFrame(logs, index=closes.index, columns=closes.columns)


def to_long(wide: pd.DataFrame, name: str) -> pd.Series:
    """Stack a sessions × symbols frame to a Series by (session, symbol), without the NaN cells."""
    index = pd.MultiIndex.from_product([wide.index, wide.columns], names=["session", "symbol"])
    values = wide.to_numpy(dtype=np.float64).ravel()
    keep = ~np.isnan(values)
    return pd.Series(values[keep], index=index[keep], name=name)


def _name(bars: pd.DataFrame, chosen: np.ndarray) -> str:
    row = bars.iloc[int(np.flatnonzero(chosen)[0])]
    return f"{row['symbol']} on {row['session']}"
