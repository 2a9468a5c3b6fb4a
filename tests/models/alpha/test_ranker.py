from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.alpha.ranker import (
    RankerParams,
    booster_from_text,
    booster_to_text,
    score,
    train,
)
from models.domain.errors import InvalidInput

PARAMS = RankerParams(min_data_in_leaf=20, rounds=20)


def _rows(seed: int = 0, sessions: int = 100) -> tuple[pd.DataFrame, pd.Series]:
    """Features of which only the first drives the label."""
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(sessions)]
    index = pd.MultiIndex.from_product([days, list("ABCDE")], names=["session", "symbol"])
    generator = np.random.default_rng(seed)
    features = pd.DataFrame(
        generator.uniform(-0.5, 0.5, (len(index), 3)), index=index, columns=["x", "y", "z"]
    )
    noise = generator.normal(0.0, 0.1, len(index))
    return features, (features["x"] * 0.5 + noise).rename("label")


def test_learns_what_drives_the_label_and_scores_unseen_rows() -> None:
    booster = train(*_rows(seed=0), PARAMS)
    unseen, labels = _rows(seed=1)
    scores = score(booster, unseen)
    assert scores.index.equals(unseen.index)
    assert scores.corr(labels, method="spearman") > 0.7
    gains = dict(zip(booster.feature_name(), booster.feature_importance("gain"), strict=True))
    assert max(gains, key=lambda name: gains[name]) == "x"


def test_the_same_input_gives_the_same_model_to_the_bit() -> None:
    first, second = (booster_to_text(train(*_rows(), PARAMS)) for _ in range(2))
    assert first == second
    other = RankerParams(min_data_in_leaf=20, rounds=20, seed=8)
    assert booster_to_text(train(*_rows(), other)) != first
    assert "[deterministic: 1]" in first and "[force_row_wise: 1]" in first


def test_the_number_of_threads_changes_no_tree() -> None:
    one, two = (
        booster_to_text(train(*_rows(), replace(PARAMS, num_threads=threads))).split("end of trees")
        for threads in (1, 2)
    )
    assert one[0] == two[0] and one[1] != two[1]


def test_rows_without_a_label_are_not_trained_on() -> None:
    features, labels = _rows()
    known = labels.iloc[:400]
    partial = train(features, known, PARAMS)
    exact = train(features.iloc[:400], known, PARAMS)
    assert booster_to_text(partial) == booster_to_text(exact)


def test_text_round_trip_keeps_every_forecast() -> None:
    features, labels = _rows()
    booster = train(features, labels, PARAMS)
    again = booster_from_text(booster_to_text(booster))
    pd.testing.assert_series_equal(
        score(again, features), score(booster, features), check_exact=True
    )


@pytest.mark.parametrize("damage", ["", "pickle", "cut"])
def test_text_that_is_no_model_is_refused(damage: str) -> None:
    text = booster_to_text(train(*_rows(), PARAMS))
    with pytest.raises(InvalidInput, match="fetch the artifact again"):
        booster_from_text(text[: len(text) // 2] if damage == "cut" else damage)


def test_columns_in_another_order_or_by_another_name_are_refused() -> None:
    features, labels = _rows()
    booster = train(features, labels, PARAMS)
    for wrong in (features[["y", "x", "z"]], features.rename(columns={"x": "w"}), features[["x"]]):
        with pytest.raises(InvalidInput, match="was trained on"):
            score(booster, wrong)


def test_a_model_without_an_opinion_is_refused() -> None:
    features, labels = _rows()
    stump = train(features, labels, RankerParams(min_data_in_leaf=250, rounds=1))
    one_sided = features.assign(x=0.4, y=0.4, z=0.4)
    with pytest.raises(InvalidInput, match="do not trade"):
        score(stump, one_sided)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    features, labels = _rows()
    booster = train(features, labels, PARAMS)
    broken = features.copy()
    broken.iloc[3, 1] = value
    with pytest.raises(InvalidInput, match="not finite"):
        score(booster, broken)
    with pytest.raises(InvalidInput, match="not finite"):
        train(broken, labels, PARAMS)
    with pytest.raises(InvalidInput, match="not finite"):
        train(features, labels.where(labels.index != labels.index[0], value), PARAMS)


def test_nothing_to_learn_from_is_refused() -> None:
    features, labels = _rows()
    with pytest.raises(InvalidInput, match=r"500 rows .* needs 1000"):
        train(features, labels, RankerParams())
    with pytest.raises(InvalidInput, match="labels are the same"):
        train(features, labels * 0.0, PARAMS)
    with pytest.raises(InvalidInput, match="no feature rows"):
        score(train(features, labels, PARAMS), features.iloc[:0])


def test_parameters_survive_a_tracker_that_keeps_text() -> None:
    params = RankerParams(learning_rate=0.07, rounds=33)
    as_text = {name: str(value) for name, value in params.as_dict().items()}
    assert RankerParams.from_dict(as_text) == params
    assert RankerParams.from_dict({}) == RankerParams()


@pytest.mark.parametrize(
    "values",
    [{"leaves": 3}, {"rounds": "many"}, {"num_leaves": 3.7}, {"lambda_l2": float("nan")}],
)
def test_parameters_that_mean_nothing_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="ranker parameter"):
        RankerParams.from_dict(values)
