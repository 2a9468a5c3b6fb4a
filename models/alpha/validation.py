"""Walk-forward validation of a recipe: train on each fold's past, score what came after."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from models.alpha.evaluation import Evaluation, evaluate
from models.alpha.labels import forward_returns, rank_labels
from models.alpha.ranker import RankerParams, score, train
from models.alpha.walk_forward import Fold
from models.domain.errors import InvalidInput

BASELINE = "momentum_12_1"


def out_of_sample_scores(
    features: pd.DataFrame,
    labels: pd.Series,
    folds: Sequence[Fold],
    params: RankerParams,
    *,
    on_fold: Callable[[Fold], None] | None = None,
) -> pd.Series:
    """Score every fold's test rows with a booster trained only on that fold's training rows.

    `on_fold` is called after each fold, to show progress. Raises InvalidInput as train and score.
    """
    parts: list[pd.Series] = []
    for fold in folds:
        booster = train(fold.train_rows(features), labels, params)
        parts.append(score(booster, fold.test_rows(features)))
        if on_fold is not None:
            on_fold(fold)
    return pd.concat(parts)


def validate(
    features: pd.DataFrame,
    closes: pd.DataFrame,
    folds: Sequence[Fold],
    horizon: int,
    params: RankerParams,
    *,
    on_fold: Callable[[Fold], None] | None = None,
) -> Evaluation:
    """Evaluate a recipe (features and parameters) out of sample against 12-1 momentum.

    `features` is by (session, symbol), `closes` is sessions × symbols in USD. To compare with the
    champion, validate the champion's parameters on the same folds: its booster has seen these rows.
    Raises InvalidInput when a fold was not purged for `horizon`, or as train, score and evaluate.
    """
    short = [fold.number for fold in folds if fold.gap < horizon]
    if short:
        raise InvalidInput(
            f"folds {short} leave under {horizon} sessions between training and test, so labels "
            f"leak; split again with horizon={horizon}"
        )
    scores = out_of_sample_scores(
        features, rank_labels(closes, horizon), folds, params, on_fold=on_fold
    )
    returns = forward_returns(closes, horizon)
    return evaluate(scores, returns, features[BASELINE], folds, horizon)
