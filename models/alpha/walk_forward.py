"""Purged, expanding walk-forward splits: always train on the past, test on what came after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import pandas as pd

from models.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Fold:
    """One split. All four session dates are inclusive; training always starts at the beginning.

    `gap` is the number of sessions between training and test that belong to neither.
    """

    number: int
    train_start: date
    train_end: date
    test_start: date
    test_end: date
    gap: int

    def train_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a (session, symbol) frame that this fold trains on."""
        return _between(rows, self.train_start, self.train_end)

    def test_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a (session, symbol) frame that this fold tests on."""
        return _between(rows, self.test_start, self.test_end)


def walk_forward_splits(
    sessions: Sequence[date], folds: int, horizon: int, embargo: int, min_train: int
) -> list[Fold]:
    """Split sessions into `folds` consecutive test windows, each with all usable history before it.

    A label at session i is known at session i + `horizon`. Training for a test window that starts
    at session a therefore ends at a - horizon - embargo - 1: its last label is known before the
    window opens, and `embargo` further sessions are left out (purging and embargo after López de
    Prado, 2018, chapter 7). The first window has exactly `min_train` training sessions; windows
    differ in length by at most one session. Counts are in sessions. Raises InvalidInput for
    unsorted or repeated sessions, counts out of range, or too little history.
    """
    _check(sessions, folds, horizon, embargo, min_train)
    first = min_train + horizon + embargo
    length, longer = divmod(len(sessions) - first, folds)
    splits: list[Fold] = []
    start = first
    for number in range(folds):
        stop = start + length + (1 if number < longer else 0)
        splits.append(
            Fold(
                number=number + 1,
                train_start=sessions[0],
                train_end=sessions[start - horizon - embargo - 1],
                test_start=sessions[start],
                test_end=sessions[stop - 1],
                gap=horizon + embargo,
            )
        )
        start = stop
    return splits


def _check(
    sessions: Sequence[date], folds: int, horizon: int, embargo: int, min_train: int
) -> None:
    if folds < 1 or horizon < 1 or embargo < 0 or min_train < 1:
        raise InvalidInput(
            f"folds={folds}, horizon={horizon}, embargo={embargo}, min_train={min_train}: give "
            "folds, horizon and min_train of 1 or more, and an embargo of 0 or more sessions"
        )
    if any(later <= earlier for earlier, later in pairwise(sessions)):
        raise InvalidInput("sessions must be sorted and distinct; pass each session once")
    needed = min_train + horizon + embargo + folds * horizon
    if len(sessions) < needed:
        raise InvalidInput(
            f"{folds} folds with {min_train} training sessions need at least {needed} sessions and "
            f"got {len(sessions)}; ingest more history, or ask for fewer folds"
        )


def _between(rows: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    index = rows.index
    if not isinstance(index, pd.MultiIndex):
        raise InvalidInput("rows must be indexed by (session, symbol)")
    level = index.levels[index.names.index("session")]
    inside = [first <= session <= last for session in level]
    codes = index.codes[index.names.index("session")]
    return rows[pd.Series(inside, dtype=bool).to_numpy()[codes]]
