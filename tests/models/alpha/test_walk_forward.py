from datetime import date, timedelta

import pandas as pd
import pytest

from models.alpha.walk_forward import walk_forward_splits
from models.domain.errors import InvalidInput

SESSIONS = [date(2024, 1, 1) + timedelta(days=i) for i in range(30)]


def test_two_folds_by_hand() -> None:
    first, second = walk_forward_splits(SESSIONS, 2, horizon=3, embargo=1, min_train=10)
    assert (first.train_end, first.test_start, first.test_end) == (
        SESSIONS[9],
        SESSIONS[14],
        SESSIONS[21],
    )
    assert (second.train_end, second.test_start, second.test_end) == (
        SESSIONS[17],
        SESSIONS[22],
        SESSIONS[29],
    )


def test_a_fold_takes_its_rows_ends_included() -> None:
    index = pd.MultiIndex.from_product([SESSIONS, ["A", "B"]], names=["session", "symbol"])
    rows = pd.DataFrame({"x": range(60)}, index=index)
    fold = walk_forward_splits(SESSIONS, 2, horizon=3, embargo=1, min_train=10)[0]
    assert fold.train_rows(rows)["x"].tolist() == list(range(20))
    assert fold.test_rows(rows)["x"].tolist() == list(range(28, 44))


@pytest.mark.parametrize(
    ("folds", "horizon", "embargo", "min_train"),
    [(0, 5, 0, 5), (1, 0, 0, 5), (1, 5, -1, 5), (1, 5, 0, 0)],
)
def test_counts_out_of_range_are_refused(
    folds: int, horizon: int, embargo: int, min_train: int
) -> None:
    with pytest.raises(InvalidInput, match="give folds"):
        walk_forward_splits(SESSIONS, folds, horizon, embargo, min_train)


def test_too_little_history_says_how_much_is_needed() -> None:
    with pytest.raises(InvalidInput, match="at least 31 sessions and got 30"):
        walk_forward_splits(SESSIONS, 2, horizon=5, embargo=2, min_train=14)


def test_unsorted_or_repeated_sessions_are_refused() -> None:
    for wrong in (SESSIONS[::-1], [*SESSIONS, SESSIONS[-1]]):
        with pytest.raises(InvalidInput, match="sorted"):
            walk_forward_splits(wrong, 1, horizon=1, embargo=0, min_train=5)
