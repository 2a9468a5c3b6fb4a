from math import sqrt

import numpy as np
import pytest

from models.alpha.inference import newey_west_lag, newey_west_t


def test_without_lags_it_is_the_plain_t_statistic() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    assert newey_west_t(values, 0) == pytest.approx(values.mean() / (values.std() / sqrt(4)))


def test_one_lag_by_hand() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])  # errors -2, -1, 0, 3
    gamma_0, gamma_1 = (4 + 1 + 0 + 9) / 4, (2 + 0 + 0) / 4
    expected = 3.0 / sqrt((gamma_0 + 2 * 0.5 * gamma_1) / 4)
    assert newey_west_t(values, 1) == pytest.approx(expected)


def test_values_that_do_not_vary_prove_nothing() -> None:
    assert newey_west_t(np.array([0.1]), 0) == 0.0
    assert newey_west_t(np.full(50, 0.25), 3) == 0.0


def test_the_lag_covers_the_overlap() -> None:
    assert newey_west_lag(10_000, 5) == 130
    assert newey_west_lag(100, 63) == 62
    assert newey_west_lag(20, 63) == 19


def test_overlapping_noise_is_rarely_called_significant() -> None:
    """Five-session sums of noise: a true null, with the overlap that daily scoring brings."""
    generator = np.random.default_rng(11)
    runs = 2000  # the standard error of a rate of 6.5 % is then 0.55 %
    corrected = naive = short = 0
    for _ in range(runs):
        values = np.convolve(generator.normal(size=1004), np.ones(5), "valid")
        corrected += abs(newey_west_t(values, newey_west_lag(1000, 5))) > 1.96
        short += abs(newey_west_t(values, 4)) > 1.96
        naive += abs(newey_west_t(values, 0)) > 1.96
    assert corrected / runs < 0.085  # 5 % is ideal
    assert short / runs > 0.09  # horizon - 1 alone is too kind
    assert naive / runs > 0.3
