"""Average true range: how far a symbol moves in a session, gaps included."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from models.domain.errors import InvalidInput


def average_true_range(
    highs: Sequence[float], lows: Sequence[float], closes: Sequence[float], sessions: int = 14
) -> float:
    """Return the mean true range of the last `sessions` sessions, in USD a share.

    True range is the larger of high - low and the distances of both from the close before (Wilder,
    New Concepts in Technical Trading Systems, 1978; a plain mean here, not his smoothing). The
    three sequences are aligned, oldest first. Raises InvalidInput on too few or unusable values.
    """
    if not len(highs) == len(lows) == len(closes) or sessions < 1 or len(closes) <= sessions:
        raise InvalidInput(
            f"a true range over {sessions} sessions needs {sessions + 1} bars and got "
            f"{len(closes)}; ingest more history"
        )
    last = range(len(closes) - sessions, len(closes))
    ranges = [
        max(highs[i] - lows[i], abs(highs[i] - closes[i - 1]), abs(lows[i] - closes[i - 1]))
        for i in last
    ]
    mean = sum(ranges) / sessions
    if not isfinite(mean) or mean <= 0:
        raise InvalidInput(f"the true range is {mean}; run robo ingest to mend the bars")
    return mean
