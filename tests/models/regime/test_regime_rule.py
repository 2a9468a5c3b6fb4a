"""The stated rule: each regime from closes that show it, and nothing from the future."""

from random import Random

import pytest

from models.domain.errors import InvalidInput
from models.domain.regimes import Regime
from models.regime.realised import RegimeRule, classify


def path(*stretches: tuple[int, float, float], seed: int = 3) -> list[float]:
    """Closes of stretches of (sessions, drift a session, volatility a session)."""
    draw, closes = Random(seed), [100.0]
    for sessions, drift, noise in stretches:
        half = [draw.gauss(0, noise) for _ in range(sessions // 2)]
        steps = [*half, *(-step for step in half)]  # the noise adds up to nothing
        draw.shuffle(steps)
        closes += [0.0] * len(steps)
        for i, step in enumerate(steps, len(closes) - len(steps)):
            closes[i] = closes[i - 1] * (1 + drift + step)
    return closes


@pytest.mark.parametrize(
    ("closes", "regime"),
    [
        (path((200, 0.0, 0.01), (64, 0.004, 0.008)), Regime.BULL),
        (path((200, 0.0, 0.01), (64, -0.004, 0.008)), Regime.BEAR),
        (path((264, 0.0, 0.01)), Regime.RANGING),
        (path((240, 0.0, 0.008), (22, 0.01, 0.03)), Regime.VOLATILE),
        (path((240, 0.0, 0.008), (22, -0.015, 0.03)), Regime.CRASH),
        ([100.0] * 80, Regime.RANGING),
    ],
)
def test_each_regime_is_told_from_closes_that_show_it(closes, regime):
    assert classify(closes) is regime


def test_scale_does_not_matter_and_order_does():
    closes = path((200, 0.0, 0.01), (64, 0.004, 0.008))
    assert classify([close * 37 for close in closes]) is Regime.BULL
    assert classify(closes[::-1]) is not Regime.BULL


def test_too_few_or_broken_closes_are_refused():
    needed = RegimeRule().sessions_needed
    assert classify([100.0] * needed) is Regime.RANGING
    with pytest.raises(InvalidInput, match=f"needs {needed} closes and got {needed - 1}"):
        classify([100.0] * (needed - 1))
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="no positive number"):
            classify([100.0] * needed + [bad])
