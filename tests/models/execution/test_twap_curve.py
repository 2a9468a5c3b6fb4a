from dataclasses import replace
from datetime import timedelta

import pytest

from models.domain.errors import InvalidInput
from models.execution.curves import TwapCurve, curve_for


def test_odd_shares_are_spread_over_the_slices(parent):
    curve = curve_for(replace(parent, quantity=10), slices=4)
    marks = [*curve.due_times(), curve.end]
    assert [curve.planned(mark) for mark in marks] == [0, 3, 5, 8, 10]


def test_a_slice_is_planned_only_once_it_has_ended(parent):
    curve = curve_for(parent, slices=4)
    second = curve.due_times()[1]
    assert curve.planned(second - timedelta(microseconds=1)) == 0
    assert curve.planned(second) == 25


def test_fewer_shares_than_slices(parent):
    curve = curve_for(replace(parent, quantity=1), slices=4)
    assert [curve.planned(mark) for mark in [*curve.due_times(), curve.end]] == [0, 0, 1, 1, 1]


def test_the_algo_name_is_matched_in_any_case_and_an_unknown_one_refused(parent):
    assert isinstance(curve_for(replace(parent, algo="twap"), 4), TwapCurve)
    with pytest.raises(InvalidInput, match=r"MAGIC.*TWAP"):
        curve_for(replace(parent, algo="MAGIC"), 4)


@pytest.mark.parametrize(("quantity", "slices", "minutes"), [(0, 4, 1), (1, 0, 1), (1, 1, 0)])
def test_an_empty_schedule_is_refused(parent, quantity, slices, minutes):
    with pytest.raises(InvalidInput):
        TwapCurve(quantity, parent.start, parent.start + timedelta(minutes=minutes), slices)
