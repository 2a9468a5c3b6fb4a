"""Count, by symbol and session, what was expected, came, was let in and was remarked upon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.domain.sessions import TradingSession
from tasks.quality.bars import LENGTHS
from tasks.quality.report import QualityReport

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def score_counts(
    table: str, frame: pd.DataFrame, report: QualityReport, sessions: Sequence[TradingSession]
) -> pd.DataFrame:
    """Return symbol, session, expected, received, accepted and warned, in rows.

    `frame` is the judged batch in the order of `report`. Every session from a symbol's first to its
    last row in the batch is there; rows outside regular hours are not counted.
    """
    import pandas as pd

    codes, names = pd.factorize(frame["symbol"])
    place = _session_places(table, frame, sessions)
    counted = (codes >= 0) & (place >= 0)
    accepted = counted.copy()
    accepted[[row.position for row in report.refused]] = False
    warned = np.zeros(len(frame), dtype=bool)
    warned[list(report.warned)] = True
    cell = codes.astype(np.int64) * len(sessions) + place
    shape = (len(names), len(sessions))
    size = shape[0] * shape[1]
    received, good, remarked = (
        np.bincount(cell[rows], minlength=size).reshape(shape)
        for rows in (counted, accepted, accepted & warned)
    )
    seen = received > 0
    begun = np.maximum.accumulate(seen, axis=1)
    goes_on = np.maximum.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    symbol, day = np.nonzero(begun & goes_on)
    expected = np.array([_expected(table, session) for session in sessions], dtype=np.int64)
    dates = np.array([session.date for session in sessions], dtype=object)
    return pd.DataFrame(
        {
            "symbol": np.asarray(names, dtype=object)[symbol],
            "session": dates[day],
            "expected": expected[day],
            "received": received[symbol, day],
            "accepted": good[symbol, day],
            "warned": remarked[symbol, day],
        }
    )


def _expected(table: str, session: TradingSession) -> int:
    if table not in LENGTHS:
        return 1
    return int(np.ceil((session.close - session.open).total_seconds() / LENGTHS[table]))


def _session_places(
    table: str, frame: pd.DataFrame, sessions: Sequence[TradingSession]
) -> NDArray[np.int64]:
    """Return each row's session by number, -1 outside regular hours."""
    import pandas as pd

    if table not in LENGTHS:
        number = {session.date: place for place, session in enumerate(sessions)}
        return np.array([number.get(day, -1) for day in frame["session"]], dtype=np.int64)
    opens = np.array([int(session.open.timestamp()) for session in sessions], dtype=np.int64)
    closes = np.array([int(session.close.timestamp()) for session in sessions], dtype=np.int64)
    stamps = pd.to_datetime(frame["ts"], utc=True).dt.tz_localize(None)
    seconds = stamps.to_numpy(dtype="datetime64[s]").astype(np.int64)
    place = np.searchsorted(opens, seconds, side="right") - 1
    inside = (place >= 0) & (seconds < closes[np.clip(place, 0, None)])
    return np.where(inside, place, -1)
