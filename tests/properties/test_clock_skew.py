"""The proven skew never says more than is true, and enough answers say nearly all of it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.risk.clock_skew import ClockReading, proven_skew

START = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
SECONDS = st.floats(0, 5)


@given(st.floats(-30, 30), st.lists(st.tuples(SECONDS, SECONDS), max_size=8))
def test_a_skew_is_never_overstated(skew, asked):
    readings = []
    for at, way in asked:  # the broker answers somewhere in the middle of the way
        true = START + timedelta(seconds=at)
        told = (true + timedelta(seconds=way / 3)).replace(microsecond=0)
        local = true + timedelta(seconds=skew)
        readings.append(ClockReading(local, told, local + timedelta(seconds=way)))
    found = proven_skew(readings)
    assert found * skew >= 0
    assert abs(found) <= abs(skew) + 1e-5


@given(st.floats(-30, 30), st.floats(0, 1))
def test_four_answers_a_quarter_apart_miss_a_quarter_at_most(skew, phase):
    readings = []
    for number in range(4):
        true = START + timedelta(seconds=phase + number / 4)
        local = true + timedelta(seconds=skew)
        readings.append(ClockReading(local, true.replace(microsecond=0), local))
    assert abs(skew) - abs(proven_skew(readings)) <= 0.25 + 1e-5
