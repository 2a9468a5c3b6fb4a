"""Market regimes: the vocabulary that exits, limits and reports share."""

from __future__ import annotations

from enum import StrEnum


class Regime(StrEnum):
    """What a symbol's recent closes look like; how it is told is models/regime's business."""

    BULL = "bull"
    BEAR = "bear"
    VOLATILE = "volatile"
    RANGING = "ranging"
    CRASH = "crash"
