from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.alpha.evaluation import evaluate, session_ics
from models.alpha.inference import newey_west_t
from models.alpha.walk_forward import Fold
from models.domain.errors import InvalidInput

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(40)]
NAMES = [f"S{i:02d}" for i in range(10)]
FOLDS = [
    Fold(1, DAYS[0], DAYS[0], DAYS[0], DAYS[19], gap=0),
    Fold(2, DAYS[0], DAYS[0], DAYS[20], DAYS[39], gap=0),
]


def _wide(seed: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(0.0, 0.02, (40, 10))
    return pd.DataFrame(
        values, index=pd.Index(DAYS, name="session"), columns=pd.Index(NAMES, name="symbol")
    )


def test_agrees_with_scipy_holes_and_ties_included() -> None:
    from scipy.stats import spearmanr  # takes seconds

    forecast, outcome = _wide(1).round(2), _wide(2)
    forecast = forecast.mask(np.random.default_rng(3).random(forecast.shape) < 0.2)
    ics = session_ics(forecast, outcome)
    for day in DAYS:
        known = forecast.loc[day].notna()
        expected = spearmanr(forecast.loc[day][known], outcome.loc[day][known]).statistic
        assert ics[day] == pytest.approx(expected)


def test_a_forecast_without_opinion_counts_as_nothing_and_a_dead_market_is_left_out() -> None:
    forecast, outcome = _wide(1), _wide(2)
    forecast.iloc[0] = 1.0
    outcome.iloc[1] = 0.0
    forecast.iloc[2, 2:] = np.nan
    ics = session_ics(forecast, outcome)
    assert ics[DAYS[0]] == 0.0
    assert DAYS[1] not in ics.index and DAYS[2] not in ics.index
    assert len(ics) == 38


def test_figures_of_a_perfect_and_a_perverse_forecast() -> None:
    returns = _wide(2).stack()
    good = evaluate(returns, returns, -returns, FOLDS, horizon=1)
    assert good.mean_ic == pytest.approx(1.0) and good.baseline_ic == pytest.approx(-1.0)
    assert good.fold_ics == pytest.approx((1.0, 1.0)) and good.positive_folds == 1.0
    assert (good.sessions, good.rows) == (40, 400)
    assert (good.first_session, good.last_session) == (DAYS[0], DAYS[-1])
    bad = evaluate(-returns, returns, returns, FOLDS, horizon=1)
    assert bad.mean_ic == pytest.approx(-1.0) and bad.positive_folds == 0.0
    assert bad.spread_bps == pytest.approx(-good.spread_bps)


def test_the_spread_is_the_top_fifth_minus_the_bottom_fifth_in_bps() -> None:
    simple = pd.Series([i / 1000 for i in range(10)], index=NAMES)
    returns = pd.concat({day: np.log1p(simple) for day in DAYS}, names=["session", "symbol"])
    scores = pd.concat(
        {day: pd.Series(range(10), index=NAMES) for day in DAYS}, names=["session", "symbol"]
    )
    record = evaluate(scores.astype(float), returns, scores, FOLDS, horizon=1)
    assert record.spread_bps == pytest.approx((0.0085 - 0.0005) * 10_000)


def test_mean_icir_and_folds_follow_from_the_session_ics() -> None:
    scores, returns = _wide(1).stack(), _wide(2).stack()
    record = evaluate(scores, returns, scores, FOLDS, horizon=1)
    ics = session_ics(_wide(1), _wide(2))
    assert record.mean_ic == pytest.approx(ics.mean())
    assert record.icir == pytest.approx(ics.mean() / ics.std())
    assert record.fold_ics == pytest.approx((ics.iloc[:20].mean(), ics.iloc[20:].mean()))
    assert abs(record.t_stat) < 3
    assert record.metrics()["ic_fold_2"] == record.fold_ics[1]


@pytest.mark.parametrize(("horizon", "lag"), [(1, 9), (15, 14)])
def test_the_t_statistic_is_corrected_for_the_horizon(horizon: int, lag: int) -> None:
    scores, returns = _wide(1).stack(), _wide(2).stack()
    ics = session_ics(_wide(1), _wide(2)).to_numpy()
    record = evaluate(scores, returns, scores, FOLDS, horizon)
    assert record.t_stat == pytest.approx(newey_west_t(ics, lag))
    assert record.t_stat != pytest.approx(newey_west_t(ics, 0))


def test_rows_whose_horizon_has_not_passed_are_left_out() -> None:
    scores, returns = _wide(1).stack(), _wide(2).iloc[:-3].stack()
    record = evaluate(scores, returns, scores, FOLDS, horizon=3)
    assert record.sessions == 37 and record.last_session == DAYS[-4]


def test_records_that_would_mislead_are_refused() -> None:
    scores, returns = _wide(1).stack(), _wide(2).stack()
    with pytest.raises(InvalidInput, match="no baseline"):
        evaluate(scores, returns, scores.iloc[:-1], FOLDS, horizon=1)
    with pytest.raises(InvalidInput, match="outside the test windows"):
        evaluate(scores, returns, scores, FOLDS[:1], horizon=1)
    with pytest.raises(InvalidInput, match="only 19 test sessions"):
        evaluate(scores, returns.iloc[:190], scores, FOLDS, horizon=1)
    empty = replace(FOLDS[1], number=3, test_start=DAYS[39] + timedelta(days=1))
    with pytest.raises(InvalidInput, match="fold 3 has no session"):
        evaluate(scores, returns, scores, [*FOLDS, empty], horizon=1)
