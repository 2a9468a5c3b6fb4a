"""A LightGBM regressor on cross-sectional ranks, trained to the same bits for the same input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from lightgbm import Booster


@dataclass(frozen=True, slots=True)
class RankerParams:
    """How the ranker learns; the names are LightGBM's, `rounds` is the number of trees.

    One thread by default: the trees are the same for any number, and LightGBM's threads wait by
    spinning, which on a busy machine of two cores took ten times as long as one thread did.
    """

    learning_rate: float = 0.03
    num_leaves: int = 15
    min_data_in_leaf: int = 500
    feature_fraction: float = 0.6
    bagging_fraction: float = 0.7
    bagging_freq: int = 1
    lambda_l2: float = 10.0
    rounds: int = 150
    seed: int = 7
    num_threads: int = 1

    def as_dict(self) -> dict[str, int | float]:
        """Return the parameters by name, for an experiment tracker."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RankerParams:
        """Rebuild parameters from their names (values may be text); the inverse of as_dict.

        Raises InvalidInput for a name that is unknown, or a value that is no number, or not a
        whole one where LightGBM counts.
        """
        kinds: dict[str, Any] = {name: type(value) for name, value in asdict(cls()).items()}
        unknown = sorted(set(values) - set(kinds))
        if unknown:
            raise InvalidInput(f"unknown ranker parameters {unknown}; known are {sorted(kinds)}")
        try:
            given = {name: kinds[name](value) for name, value in values.items()}
            exact = all(given[name] == float(value) for name, value in values.items())
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(
                f"a ranker parameter is not a number: {error}; correct it"
            ) from error
        if not exact:  # 3.7 leaves, or NaN
            raise InvalidInput(f"ranker parameters {dict(values)} are not all usable; correct them")
        return cls(**given)


def train(features: pd.DataFrame, labels: pd.Series, params: RankerParams) -> Booster:
    """Fit a booster to the rows that have both features and a label, both by (session, symbol).

    The same rows and parameters give the same booster, to the bit, on the same machine. Raises
    InvalidInput when values are not finite, or when the rows or labels cannot support two leaves.
    """
    import lightgbm

    rows = features.index.intersection(labels.index, sort=False)
    inputs, target = features.loc[rows], labels.loc[rows].to_numpy(dtype=np.float64)
    _require_trainable(inputs, target, params)
    dataset = lightgbm.Dataset(
        inputs.to_numpy(dtype=np.float64), target, feature_name=[str(name) for name in inputs]
    )
    return lightgbm.train(  # pyright: ignore[reportUnknownMemberType]
        _lightgbm_params(params), dataset, num_boost_round=params.rounds
    )


def score(booster: Booster, features: pd.DataFrame) -> pd.Series:
    """Forecast each row's rank label; higher is better. Returns a Series on the features' index.

    Raises InvalidInput when the columns are not the booster's in the same order, when there are
    no rows, or when an input or a forecast is not finite or all forecasts are the same.
    """
    expected, given = list(booster.feature_name()), [str(name) for name in features.columns]
    if expected != given:
        raise InvalidInput(
            f"the model was trained on {expected} and got {given}; compute the features with the "
            "code version that trained it, or retrain"
        )
    values = features.to_numpy(dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise InvalidInput(
            "there are no feature rows, or some are not finite; compute the features again from "
            "validated bars"
        )
    scores = np.asarray(booster.predict(values, num_threads=1), dtype=np.float64)
    if not np.isfinite(scores).all() or (len(scores) > 1 and np.ptp(scores) == 0.0):
        raise InvalidInput(
            "the model's forecasts are not finite, or all the same: it says nothing about which "
            "symbol is better; retrain it and do not trade on it"
        )
    return pd.Series(scores, index=features.index, name="score")


def booster_to_text(booster: Booster) -> str:
    """Return the booster in LightGBM's own text format, which holds no code."""
    return booster.model_to_string(num_iteration=-1)


def booster_from_text(text: str) -> Booster:
    """Rebuild a booster from LightGBM's text format; raise InvalidInput when it is not one."""
    import lightgbm

    if not text.startswith("tree\n") or "\nend of trees" not in text:
        raise InvalidInput("this is no complete LightGBM model text; fetch the artifact again")
    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise InvalidInput(f"LightGBM cannot read this model: {error}; retrain") from error


def _lightgbm_params(params: RankerParams) -> dict[str, Any]:
    given = params.as_dict()
    del given["rounds"]
    return {
        **given,
        "objective": "regression",
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _require_trainable(inputs: pd.DataFrame, target: np.ndarray, params: RankerParams) -> None:
    needed = 2 * params.min_data_in_leaf
    if len(inputs) < needed:
        raise InvalidInput(
            f"{len(inputs)} rows have both features and a label, a split needs {needed}; ingest "
            "more history or lower min_data_in_leaf"
        )
    if not (np.isfinite(inputs.to_numpy(dtype=np.float64)).all() and np.isfinite(target).all()):
        raise InvalidInput("features or labels are not finite; compute them from validated bars")
    if np.ptp(target) == 0.0:
        raise InvalidInput("all labels are the same; a ranker needs at least two symbols to rank")
