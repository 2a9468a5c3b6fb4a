"""Retraining: every candidate is logged, only one that passes the gate trades, and it repeats."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from models.alpha.promotion import PromotionGate
from models.alpha.ranker import RankerParams
from models.domain.errors import InvalidInput
from tasks.learning.champion import load_champion
from tasks.learning.features import load_dataset, load_recent
from tasks.learning.training import Outcome, RetrainReport, TrainingPlan, retrain
from tasks.settings import Settings, load_settings
from tasks.tracking import Tracker
from warehouse.ledger import OrderLedger
from warehouse.market import MarketWarehouse

Maker = Callable[..., pd.DataFrame]
Retrain = Callable[..., RetrainReport]
NOW = datetime(2023, 1, 3, 12, 0, tzinfo=UTC)
SYMBOLS = ("AAPL", "GE", "JPM", "KO", "PFE", "XOM")
OPEN_GATE = PromotionGate(min_mean_ic=-1.0, min_t_stat=-99.0, min_positive_folds=0.0)
QUICK = TrainingPlan(
    folds=2,
    min_train=300,
    params=RankerParams(rounds=15, min_data_in_leaf=50, num_threads=1),
    gate=OPEN_GATE,
)


@pytest.fixture
def store(settings: Settings, make_bars: Maker) -> MarketWarehouse:
    bars = make_bars(symbols=list(SYMBOLS), first=date(2019, 1, 2))
    warehouse = MarketWarehouse(settings.warehouse_path, deadline=2.0)
    warehouse.bars.merge_daily(bars, "test", NOW)
    return warehouse


@pytest.fixture
def run(
    store: MarketWarehouse, ledger: OrderLedger, tracker: Tracker, settings: Settings
) -> Retrain:
    chosen = load_settings(home=settings.home, universe=SYMBOLS)

    def start(plan: TrainingPlan = QUICK, told: list[str] | None = None) -> RetrainReport:
        say = (told if told is not None else []).append
        return retrain(store, ledger, tracker, chosen, NOW, progress=say, plan=plan)

    return start


def test_passing_candidate_becomes_champion(
    run: Retrain, tracker: Tracker, ledger: OrderLedger, settings: Settings
) -> None:
    told: list[str] = []
    report = run(told=told)
    assert report.outcome is Outcome.PROMOTED
    assert load_champion(tracker, ledger).version == report.version
    assert report.evaluation is not None and len(report.evaluation.fold_ics) == 2
    assert any("fold 2 of 2" in line for line in told)

    import mlflow

    logged = mlflow.MlflowClient(settings.mlflow_uri, settings.mlflow_uri).get_run(
        report.version.run_id
    )
    assert logged.data.metrics["mean_ic"] == report.evaluation.mean_ic
    assert {"ic_fold_1", "ic_fold_2", "baseline_ic", "t_stat"} <= set(logged.data.metrics)
    assert logged.data.params["dataset_hash"] == report.dataset_hash
    assert {"seed", "rounds", "horizon", "feature_names", "symbols"} <= set(logged.data.params)
    assert logged.data.params["last_session"] == "2022-12-28"


def test_candidate_that_misses_the_gate_is_kept_but_does_not_trade(
    run: Retrain, tracker: Tracker, ledger: OrderLedger
) -> None:
    report = run(replace(QUICK, gate=replace(OPEN_GATE, min_mean_ic=0.9)))
    assert report.outcome is Outcome.MISSED and "below 0.9" in report.reasons[0]
    assert tracker.latest() == report.version and tracker.champion() is None
    with pytest.raises(InvalidInput, match=r"missed the gate: mean IC .* is below 0.9"):
        load_champion(tracker, ledger)


def test_retrain_on_unchanged_data_makes_no_version(run: Retrain, tracker: Tracker) -> None:
    first = run()
    second = run()
    assert second.outcome is Outcome.UNCHANGED and "unchanged" in second.summary
    assert second.version == first.version == tracker.latest()
    assert second.evaluation is None


def test_same_data_and_plan_give_the_same_model(
    run: Retrain, tracker: Tracker, ledger: OrderLedger
) -> None:
    first = run()
    text = load_champion(tracker, ledger).booster.model_to_string()
    (tracker.model_folder(first.version) / "model.lgb").write_text("damaged")
    second = run()
    assert second.outcome is Outcome.PROMOTED and second.version.version == "2"
    assert any("cannot be used" in reason for reason in second.reasons)
    assert second.evaluation == first.evaluation
    assert load_champion(tracker, ledger).booster.model_to_string() == text


def test_one_corrected_close_is_new_data(run: Retrain, store: MarketWarehouse) -> None:
    first = run()
    bar = store.bars.daily(symbols=["KO"], first=date(2022, 12, 28))
    bar["close"] += 0.01
    store.bars.merge_daily(bar, "test", NOW)
    second = run()
    assert second.outcome is Outcome.PROMOTED
    assert second.dataset_hash != first.dataset_hash
    assert second.version.fingerprint != first.version.fingerprint


def test_champion_with_other_parameters_is_walked_forward_and_compared(
    run: Retrain, tracker: Tracker
) -> None:
    first = run()
    told: list[str] = []
    weak = replace(QUICK, params=replace(QUICK.params, rounds=1, seed=3))
    strict = replace(weak, gate=replace(OPEN_GATE, incumbent_tolerance=-1.0))
    second = run(strict, told)
    assert any("champion's parameters" in line for line in told)
    assert second.outcome is Outcome.MISSED
    assert "against the incumbent" in second.reasons[0]
    assert tracker.champion() == first.version


def test_too_little_history_says_what_is_needed(run: Retrain) -> None:
    with pytest.raises(InvalidInput, match="ingest more history"):
        run(replace(QUICK, min_train=5000))


def test_missing_symbol_is_named(
    store: MarketWarehouse, ledger: OrderLedger, tracker: Tracker, settings: Settings
) -> None:
    wrong = load_settings(home=settings.home, universe=("KO", "WMT"))
    with pytest.raises(InvalidInput, match=r"no bars for WMT.*robo ingest"):
        retrain(store, ledger, tracker, wrong, NOW, progress=lambda text: None, plan=QUICK)


def test_dataset_hash_depends_on_content_alone(store: MarketWarehouse) -> None:
    first = load_dataset(store, SYMBOLS)
    assert first.content_hash == load_dataset(store, tuple(reversed(SYMBOLS))).content_hash
    assert first.content_hash != load_dataset(store, SYMBOLS[:-1]).content_hash


def test_recent_features_are_those_of_the_whole_history(store: MarketWarehouse) -> None:
    day = date(2022, 6, 15)
    whole = load_dataset(store, SYMBOLS).features.loc[[day]]
    recent = load_recent(store, SYMBOLS, day)
    assert recent.closes.index.max() == day
    pd.testing.assert_frame_equal(recent.features.loc[[day]], whole, rtol=1e-9, atol=1e-12)
