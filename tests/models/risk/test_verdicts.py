"""A comparison means what is written, whatever kinds of number meet, and never passes a NaN."""

from decimal import Decimal
from math import inf, isfinite, nan, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.risk.verdict import Number, all_passed, compare, is_within

FINITE = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.decimals(allow_nan=False, allow_infinity=False, places=4),
)


def written(number: Number) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


@given(FINITE, FINITE)
def test_any_two_numbers_compare_as_they_are_written(value: Number, limit: Number) -> None:
    assert is_within(value, limit) is (written(value) <= written(limit))


@given(st.floats(0.0001, 1e18))
def test_neighbours_are_told_apart(limit: float) -> None:
    for value in (nextafter(limit, 0), limit, nextafter(limit, 1e308)):
        for number in (value, Decimal(repr(value)), int(value)):
            assert is_within(number, limit) is (written(number) <= written(limit))


@pytest.mark.parametrize(
    ("value", "limit", "within"),
    [
        (Decimal("1.38"), 1.38, True),
        (Decimal("1.3800001"), 1.38, False),
        (10**23, 1e23, True),
        (10**23 + 1, 1e23, False),
        (2**53 + 1, float(2**53), False),
    ],
)
def test_a_limit_is_the_number_in_the_file(value: Number, limit: Number, within: bool) -> None:
    assert is_within(value, limit) is within


@given(st.floats(), st.floats(), st.text(max_size=2))
def test_what_is_not_finite_never_passes(value: float, limit: float, excused: str) -> None:
    verdict = compare("x", value, limit, "a", "USD", excused=excused)
    if isfinite(value) and isfinite(limit):
        assert verdict.passed is (value <= limit or bool(excused))
    else:
        assert not verdict.passed
        assert "not a finite number" in verdict.reason


def test_a_decimal_that_is_no_number_is_named() -> None:
    verdict = compare("x", Decimal("NaN"), nan, "a", "USD")
    assert verdict.reason == "value, limit is not a finite number"


@pytest.mark.parametrize("bad", [nan, inf, -inf, Decimal("NaN"), Decimal("-Infinity")])
@pytest.mark.parametrize("excused", ["", "the order reduces it"])
def test_no_excuse_passes_what_is_no_number(bad: Number, excused: str) -> None:
    for value, limit in ((bad, 1), (1, bad), (bad, bad)):
        assert not compare("x", value, limit, "a", "USD", excused=excused).passed


def test_no_verdicts_at_all_are_no_permission() -> None:
    assert not all_passed(())
    assert all_passed([compare("x", 1, 1, "a", "USD")])
