from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.features.closes import close_matrix, to_long


def _bars() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": ["MSFT", "AAPL", "AAPL"],
            "session": [date(2024, 1, 3), date(2024, 1, 3), date(2024, 1, 2)],
            "close": [370.0, 184.0, 185.5],
        }
    )


def test_pivots_and_sorts_both_ways_and_leaves_gaps_missing() -> None:
    closes = close_matrix(_bars())
    assert list(closes.index) == [date(2024, 1, 2), date(2024, 1, 3)]
    assert list(closes.columns) == ["AAPL", "MSFT"]
    assert closes.loc[date(2024, 1, 3), "MSFT"] == 370.0
    assert np.isnan(closes.loc[date(2024, 1, 2), "MSFT"])


def test_timestamps_become_dates() -> None:
    bars = _bars()
    stamped = bars.assign(session=pd.to_datetime(bars["session"]))
    pd.testing.assert_frame_equal(close_matrix(stamped), close_matrix(bars))


def test_the_callers_bars_are_left_alone() -> None:
    bars = _bars()
    close_matrix(bars)
    pd.testing.assert_frame_equal(bars, _bars())


def test_long_form_drops_the_gaps_and_keeps_the_rest() -> None:
    long = to_long(close_matrix(_bars()), "close")
    assert long.to_dict() == {
        (date(2024, 1, 2), "AAPL"): 185.5,
        (date(2024, 1, 3), "AAPL"): 184.0,
        (date(2024, 1, 3), "MSFT"): 370.0,
    }


@pytest.mark.parametrize("close", [0.0, -1.0, float("nan"), float("inf")])
def test_a_close_that_is_no_price_is_refused_by_name(close: float) -> None:
    bars = _bars()
    bars.loc[1, "close"] = close
    with pytest.raises(InvalidInput, match="AAPL on 2024-01-03"):
        close_matrix(bars)


def test_two_bars_for_one_session_are_refused() -> None:
    bars = pd.concat([_bars(), _bars().iloc[:1]])
    with pytest.raises(InvalidInput, match="two bars for MSFT"):
        close_matrix(bars)


def test_no_bars_and_missing_columns_are_refused() -> None:
    with pytest.raises(InvalidInput, match="robo ingest"):
        close_matrix(_bars().iloc[:0])
    with pytest.raises(InvalidInput, match="close"):
        close_matrix(_bars().drop(columns="close"))
