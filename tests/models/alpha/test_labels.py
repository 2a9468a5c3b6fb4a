from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.alpha.labels import forward_returns, rank_labels
from models.domain.errors import InvalidInput

DAYS = [date(2024, 1, day) for day in (2, 3, 4, 5)]


def _closes() -> pd.DataFrame:
    return pd.DataFrame(
        {"A": [100.0, 110.0, 121.0, 100.0], "B": [50.0, 50.0, np.nan, 60.0], "C": [9, 8, 7, 6.0]},
        index=pd.Index(DAYS, name="session"),
    )


def test_the_return_is_from_the_row_to_its_horizon() -> None:
    returns = forward_returns(_closes(), 2)
    assert returns[(DAYS[0], "A")] == pytest.approx(np.log(1.21))
    assert returns[(DAYS[1], "B")] == pytest.approx(np.log(1.2))
    assert returns[(DAYS[1], "C")] == pytest.approx(np.log(6 / 8))


def test_rows_without_both_ends_are_left_out() -> None:
    rows = list(forward_returns(_closes(), 2).index)
    assert rows == [(DAYS[0], "A"), (DAYS[0], "C"), *((DAYS[1], name) for name in "ABC")]


def test_labels_rank_the_returns_of_each_session() -> None:
    labels = rank_labels(_closes(), 2)
    assert labels.xs(DAYS[0]).to_dict() == {"A": 0.5, "C": -0.5}
    assert labels.xs(DAYS[1]).to_dict() == {"A": 0.0, "B": 0.5, "C": -0.5}


@pytest.mark.parametrize("horizon", [0, -1])
def test_a_horizon_into_the_past_is_refused(horizon: int) -> None:
    with pytest.raises(InvalidInput, match="horizon"):
        forward_returns(_closes(), horizon)
