"""What halts by itself: at a limit trading goes on, beyond it it stops, with the right code."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.errors import InvalidInput
from models.domain.halts import HaltCode
from models.risk.breaker import Observation, judge
from models.risk.halt_limits import HaltLimits
from models.risk.limits import RiskLimits

LIMITS = RiskLimits()
SOUND = Observation(equity=100_000.0, day_start_equity=100_000.0, peak_equity=100_000.0)
AT_LIMIT = [
    (HaltCode.ORDER_RATE, "attempts", 240, 1),
    (HaltCode.REJECTS, "rejects", 5, 1),
    (HaltCode.QUOTE_AGE, "quote_silence", 300.0, 0.001),
    (HaltCode.HEARTBEAT, "heartbeat_loss", 120.0, 0.001),
]


@pytest.mark.parametrize(("code", "field", "limit", "step"), AT_LIMIT)
def test_counts_and_times(code, field, limit, step):
    assert judge(replace(SOUND, **{field: limit}), LIMITS) is None
    assert judge(replace(SOUND, **{field: limit + step}), LIMITS).code is code


@pytest.mark.parametrize(
    ("equity", "peak", "code"),
    [
        (97_000.0, 100_000.0, None),
        (96_999.99, 100_000.0, HaltCode.DAILY_LOSS),
        (100_000.0, 125_000.0, None),
        (99_999.0, 125_000.0, HaltCode.DRAWDOWN),
    ],
)
def test_losses(equity, peak, code):
    trip = judge(replace(SOUND, equity=equity, peak_equity=peak), LIMITS)
    assert (trip.code if trip else None) is code
    if trip:
        assert "USD" in trip.reason and "%" in trip.reason


@given(st.sampled_from([float("nan"), float("inf"), float("-inf")]))
def test_an_unknown_equity_trips_nothing(value):
    assert judge(replace(SOUND, equity=value), LIMITS) is None
    assert judge(replace(SOUND, day_start_equity=value, peak_equity=value), LIMITS) is None


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"max_rejects": -1}, "halts.max_rejects is -1; give a whole number from 1 to"),
        ({"max_rejects": 2.5}, "whole number"),
        ({"max_rejects": True}, "halts.max_rejects is True"),
        ({"max_quote_silence": float("nan")}, "halts.max_quote_silence is nan"),
        ({"max_heartbeat_loss": "2 min"}, "halts.max_heartbeat_loss is '2 min'"),
        ({"max_patience": 3}, "unknown halt limit halts.max_patience; the limits are"),
        (3, "make it a table"),
    ],
)
def test_a_wrong_limit_is_named(table, text):
    with pytest.raises(InvalidInput, match=text.replace(".", r"\.")):
        RiskLimits.from_mapping({"halts": table})


def test_the_table_overrides_what_it_names():
    found = RiskLimits.from_mapping({"halts": {"max_rejects": 9}})
    assert found.halts == HaltLimits(max_rejects=9)
