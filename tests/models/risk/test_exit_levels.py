"""Stops and targets by regime: on the right side, on tick, never loosened."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.orders import Side
from models.domain.regimes import Regime
from models.risk.exits import ExitLevels, ExitRules, exit_levels, is_hit, tightened

RULES = ExitRules(mode="resting")
ENTRY = Decimal("50.00")


def test_distances_are_multiples_of_the_true_range_by_regime():
    bull = exit_levels(100, ENTRY, 1.0, Regime.BULL, RULES)
    assert bull == ExitLevels(Side.SELL, Decimal("47.00"), Decimal("56.00"), Regime.BULL)
    crash = exit_levels(100, ENTRY, 1.0, Regime.CRASH, RULES)
    assert (crash.stop, crash.target) == (Decimal("48.50"), Decimal("52.00"))
    short = exit_levels(-100, ENTRY, 1.0, Regime.BULL, RULES)
    assert (short.side, short.stop, short.target) == (Side.BUY, Decimal(53), Decimal(44))


@pytest.mark.parametrize(
    ("shares", "entry", "unit"),
    [
        (0, ENTRY, 1.0),
        (1, Decimal("NaN"), 1.0),
        (1, Decimal(0), 1.0),
        (1, ENTRY, float("nan")),
        (1, ENTRY, float("inf")),
        (1, ENTRY, 0.0),
        (1, Decimal("2.00"), 1.0),  # a stop below zero
        (-1, Decimal("5.00"), 1.0),  # a target below zero
    ],
)
def test_no_level_is_made_up(shares, entry, unit):
    assert exit_levels(shares, entry, unit, Regime.BULL, RULES) is None


@given(
    st.sampled_from([-7, 7]),
    st.decimals("5", "5000", places=2),
    st.floats(0.01, 0.9),
    st.sampled_from(Regime),
)
def test_a_stop_loses_and_a_target_wins(shares, entry, unit, regime):
    levels = exit_levels(shares, entry, unit, regime, RULES)
    if levels is None:
        return
    sign = 1 if shares > 0 else -1
    assert (levels.stop - entry) * sign < 0 < (levels.target - entry) * sign
    assert levels.stop % Decimal("0.0001") == 0
    assert levels.side.sign == -sign


def test_a_stop_is_never_moved_away():
    near = ExitLevels(Side.SELL, Decimal(48), Decimal(52), Regime.CRASH)
    far = ExitLevels(Side.SELL, Decimal(45), Decimal(60), Regime.BULL)
    assert tightened(near, far) == ExitLevels(Side.SELL, Decimal(48), Decimal(60), Regime.BULL)
    assert tightened(far, near) == near
    short = ExitLevels(Side.BUY, Decimal(52), Decimal(48), Regime.BULL)
    looser = ExitLevels(Side.BUY, Decimal(55), Decimal(40), Regime.BULL)
    assert tightened(short, looser).stop == Decimal(52)
    assert tightened(near, short) == short, "another direction is another position"


def test_a_level_is_hit_at_its_price():
    long = ExitLevels(Side.SELL, Decimal(48), Decimal(52), Regime.BULL)
    cent = Decimal("0.01")
    assert is_hit(long, Decimal(48), Decimal("48.01")) == "stop"
    assert is_hit(long, Decimal(48) + cent, Decimal("48.05")) == ""
    assert is_hit(long, Decimal(52), Decimal("52.01")) == "target"
    short = ExitLevels(Side.BUY, Decimal(52), Decimal(48), Regime.BULL)
    assert is_hit(short, Decimal("51.99"), Decimal(52)) == "stop"
    assert is_hit(short, Decimal("47.99"), Decimal(48)) == "target"
    assert is_hit(short, Decimal("48.01"), Decimal("51.98")) == ""
