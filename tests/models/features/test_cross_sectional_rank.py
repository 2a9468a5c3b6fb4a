import numpy as np
import pandas as pd

from models.features.ranks import cross_sectional_rank


def _rank(*values: float) -> list[float]:
    return cross_sectional_rank(pd.DataFrame([values])).iloc[0].tolist()


def test_spans_minus_half_to_half_evenly() -> None:
    assert _rank(30.0, 10.0, 50.0, 20.0, 40.0) == [0.0, -0.5, 0.5, -0.25, 0.25]


def test_ties_share_their_average_place() -> None:
    np.testing.assert_allclose(_rank(1.0, 1.0, 2.0, 3.0), [-1 / 3, -1 / 3, 1 / 6, 0.5])
    assert _rank(4.0, 4.0, 4.0) == [0.0, 0.0, 0.0]


def test_missing_takes_no_place_and_one_alone_is_in_the_middle() -> None:
    np.testing.assert_array_equal(_rank(1.0, np.nan, 2.0), [-0.5, np.nan, 0.5])
    np.testing.assert_array_equal(_rank(np.nan, 7.0, np.nan), [np.nan, 0.0, np.nan])
