import pytest

from models.domain.errors import InvalidInput
from models.features.true_range import average_true_range


def test_a_gap_counts_as_range():
    highs, lows, closes = [11.0, 12.0, 20.0], [9.0, 11.0, 19.0], [10.0, 11.5, 19.5]
    assert average_true_range(highs, lows, closes, 2) == pytest.approx((2.0 + 8.5) / 2)
    falls = [11.0, 12.0, 6.0], [9.0, 11.0, 5.0], [10.0, 11.5, 5.5]
    assert average_true_range(*falls, 1) == pytest.approx(6.5)


def test_too_few_or_unusable_bars_are_refused():
    with pytest.raises(InvalidInput, match="needs 3 bars and got 2"):
        average_true_range([1.0] * 2, [1.0] * 2, [1.0] * 2, 2)
    with pytest.raises(InvalidInput, match="true range is nan"):
        average_true_range([1.0, float("nan")], [1.0, 1.0], [1.0, 1.0], 1)
    with pytest.raises(InvalidInput, match=r"true range is 0\.0"):
        average_true_range([1.0] * 2, [1.0] * 2, [1.0] * 2, 1)
