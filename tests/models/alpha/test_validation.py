"""The whole path from bars to a verdict, on real closes and on noise that must not impress."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.alpha.promotion import PromotionGate, judge
from models.alpha.ranker import RankerParams
from models.alpha.validation import validate
from models.alpha.walk_forward import Fold, walk_forward_splits
from models.domain.errors import InvalidInput
from models.features.closes import close_matrix
from models.features.daily import daily_features

HORIZON = 5


def _folds(features: pd.DataFrame, folds: int = 6, min_train: int = 1008) -> list[Fold]:
    sessions = list(features.index.unique("session"))
    return walk_forward_splits(sessions, folds, HORIZON, embargo=HORIZON, min_train=min_train)


def test_on_the_real_sample_the_default_recipe_passes_the_gate(
    sample_features: pd.DataFrame, sample_closes: pd.DataFrame
) -> None:
    seen: list[int] = []
    record = validate(
        sample_features,
        sample_closes,
        _folds(sample_features),
        HORIZON,
        RankerParams(),
        on_fold=lambda fold: seen.append(fold.number),
    )
    assert seen == [1, 2, 3, 4, 5, 6]
    assert record.last_session < sample_closes.index[-HORIZON]
    assert 0.015 < record.mean_ic < 0.05  # far above would smell of a leak
    assert judge(record, None, PromotionGate()).passed


def test_on_a_random_walk_nothing_is_found() -> None:
    """The leak detector: any knowledge of the future would show as a large coefficient."""
    steps = np.random.default_rng(5).normal(0.0, 0.02, (1500, 20))
    days = [date(2000, 1, 1) + timedelta(days=i) for i in range(1500)]
    wide = pd.DataFrame(50 * np.exp(np.cumsum(steps, axis=0)), index=pd.Index(days, name="session"))
    wide.columns = pd.Index([f"S{i:02d}" for i in range(20)], name="symbol")
    bars = wide.stack().rename("close").reset_index()
    features = daily_features(bars)
    record = validate(
        features, close_matrix(bars), _folds(features, 3, 500), HORIZON, RankerParams()
    )
    assert abs(record.t_stat) < 3 and abs(record.mean_ic) < 0.03
    assert not judge(record, None, PromotionGate()).passed


def test_folds_purged_for_a_shorter_horizon_are_refused(
    sample_features: pd.DataFrame, sample_closes: pd.DataFrame
) -> None:
    with pytest.raises(InvalidInput, match="labels leak"):
        validate(sample_features, sample_closes, _folds(sample_features), 21, RankerParams())
