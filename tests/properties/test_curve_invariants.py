"""Target curves: exact sums, monotone, 0 before the start, everything at the end ([6], [7])."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.execution.curves import TwapCurve

START = datetime(2023, 7, 3, 13, 30, tzinfo=UTC)

curves = st.builds(
    lambda quantity, seconds, slices: TwapCurve(
        quantity, START, START + timedelta(seconds=seconds), slices
    ),
    st.integers(1, 10**9),
    st.integers(1, 23_400),
    st.integers(1, 400),
)


@given(curves)
def test_slices_sum_exactly_and_are_within_one_share_of_each_other(curve: TwapCurve) -> None:
    marks = [*curve.due_times(), curve.end]
    done = [curve.planned(mark) for mark in marks]
    slices = [after - before for before, after in pairwise(done)]
    assert sum(slices) == curve.quantity
    assert set(slices) <= {curve.quantity // curve.slices, curve.quantity // curve.slices + 1}


@given(curves, st.lists(st.integers(-100, 30_000), min_size=2, max_size=20))
def test_planned_is_monotone_and_bounded(curve: TwapCurve, seconds: list[int]) -> None:
    planned = [curve.planned(START + timedelta(seconds=second)) for second in sorted(seconds)]
    assert planned == sorted(planned)
    assert all(0 <= shares <= curve.quantity for shares in planned)
    assert curve.planned(START) == curve.planned(START - timedelta(days=1)) == 0
    assert (
        curve.planned(curve.end) == curve.planned(curve.end + timedelta(days=1)) == curve.quantity
    )


@given(curves)
def test_due_times_open_at_the_start_and_end_before_the_end(curve: TwapCurve) -> None:
    due = curve.due_times()
    assert len(due) == curve.slices
    assert due[0] == START
    assert list(due) == sorted(due)
    assert due[-1] < curve.end
