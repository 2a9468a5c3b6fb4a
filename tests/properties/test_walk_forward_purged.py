"""No training label of any fold reaches into the window that the fold is tested on."""

from datetime import date, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from models.alpha.walk_forward import walk_forward_splits


@given(
    count=st.integers(10, 400),
    folds=st.integers(1, 8),
    horizon=st.integers(1, 25),
    embargo=st.integers(0, 12),
    min_train=st.integers(1, 200),
)
def test_folds_are_purged_expanding_and_cover_every_later_session_once(
    count: int, folds: int, horizon: int, embargo: int, min_train: int
) -> None:
    assume(count >= min_train + horizon + embargo + folds * horizon)
    # Sessions three days apart: positions, not calendar days, must be what counts.
    sessions = [date(2000, 1, 1) + timedelta(days=3 * i) for i in range(count)]
    place = {session: i for i, session in enumerate(sessions)}

    splits = walk_forward_splits(sessions, folds, horizon, embargo, min_train)

    assert [fold.number for fold in splits] == list(range(1, folds + 1))
    for fold in splits:
        last_label_known = place[fold.train_end] + horizon
        assert last_label_known + embargo < place[fold.test_start]
        assert fold.gap == place[fold.test_start] - place[fold.train_end] - 1
        assert fold.train_start == sessions[0]
    assert place[splits[0].train_end] == min_train - 1
    tested = [i for fold in splits for i in range(place[fold.test_start], place[fold.test_end] + 1)]
    assert tested == list(range(min_train + horizon + embargo, count))
    lengths = [place[fold.test_end] - place[fold.test_start] + 1 for fold in splits]
    assert max(lengths) - min(lengths) <= 1 and min(lengths) >= horizon
