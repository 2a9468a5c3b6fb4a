"""What is not a finite number never passes a check, with an excuse or without."""

from decimal import Decimal
from math import inf, nan

import pytest

from models.risk.verdict import all_passed, compare

BAD = [nan, inf, -inf, Decimal("NaN"), Decimal("-Infinity")]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("excused", ["", "the order reduces it"])
def test_no_comparison_passes_with_what_is_no_number(bad, excused):
    for value, limit in ((bad, 1), (1, bad), (bad, bad)):
        verdict = compare("c", value, limit, "it is", "USD", excused=excused)
        assert not verdict.passed
        assert "is not a finite number" in verdict.reason


def test_no_verdicts_at_all_are_no_permission():
    assert not all_passed(())
    assert all_passed([compare("c", 1, 1, "it is", "USD")])
