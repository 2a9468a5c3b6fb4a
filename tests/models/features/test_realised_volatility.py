import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.features.volatility import realised_volatility


def test_is_the_annualised_sample_deviation_of_the_last_returns() -> None:
    returns = np.array([0.5, 0.01, -0.02, 0.03, 0.0])
    closes = pd.DataFrame({"A": 100 * np.exp(np.cumsum([0.0, *returns]))})
    got = realised_volatility(closes, window=4)
    assert got["A"] == pytest.approx(np.std(returns[1:], ddof=1) * np.sqrt(252))


def test_a_short_gap_is_bridged_and_a_symbol_without_history_is_unknown() -> None:
    closes = pd.DataFrame({"A": [1.0, np.nan, 3.0, 5.0], "B": [np.nan, 2.0, 3.0, 5.0]})
    got = realised_volatility(closes, window=3)
    expected = np.std([0.0, np.log(3.0), np.log(5 / 3)], ddof=1) * np.sqrt(252)
    assert got["A"] == pytest.approx(expected) and np.isnan(got["B"])


@pytest.mark.parametrize(("sessions", "window"), [(63, 63), (10, 1)])
def test_too_little_history_is_refused(sessions: int, window: int) -> None:
    with pytest.raises(InvalidInput, match="ingest more"):
        realised_volatility(pd.DataFrame({"A": np.ones(sessions)}), window=window)
