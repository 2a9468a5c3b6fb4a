from dataclasses import replace
from datetime import date

import pytest

from models.alpha.evaluation import Evaluation
from models.alpha.promotion import PromotionGate, judge
from models.domain.errors import InvalidInput

GATE = PromotionGate()
GOOD = Evaluation(
    horizon=5,
    first_session=date(2000, 1, 3),
    last_session=date(2022, 12, 20),
    sessions=5000,
    rows=100_000,
    mean_ic=0.028,
    ic_std=0.27,
    icir=0.104,
    t_stat=3.9,
    fold_ics=(0.03, 0.02, 0.04, -0.01, 0.03),
    spread_bps=30.0,
    baseline_ic=0.03,
)


def test_a_good_candidate_passes_and_every_check_is_told() -> None:
    verdict = judge(GOOD, None, GATE)
    assert verdict.passed and len(verdict.reasons) == 3


@pytest.mark.parametrize(
    ("weak", "told"),
    [
        (replace(GOOD, mean_ic=0.0099), "mean IC 0.0099 is below 0.0100"),
        (replace(GOOD, t_stat=1.99), "t-statistic 1.9900 is below 2.0000"),
        (replace(GOOD, fold_ics=(0.1, 0.1, -0.1, -0.1)), "positive folds 0.5000 is below 0.6000"),
        (replace(GOOD, mean_ic=float("nan")), "mean IC nan is below"),
    ],
)
def test_one_weakness_is_enough_and_comes_first(weak: Evaluation, told: str) -> None:
    verdict = judge(weak, None, GATE)
    assert not verdict.passed and told in verdict.reasons[0]


def test_values_exactly_at_the_gate_pass() -> None:
    exact = replace(GOOD, mean_ic=0.01, t_stat=2.0, fold_ics=(1.0, 1.0, 1.0, -1.0, -1.0))
    assert judge(exact, None, GATE).passed


def test_an_incumbent_is_replaced_unless_it_is_better_by_more_than_the_tolerance() -> None:
    assert judge(GOOD, GOOD, GATE).passed
    assert judge(GOOD, replace(GOOD, mean_ic=0.0305), GATE).passed
    beaten = judge(GOOD, replace(GOOD, mean_ic=0.0312), GATE)
    assert not beaten.passed and "incumbent" in beaten.reasons[0]
    assert judge(
        GOOD, replace(GOOD, mean_ic=0.0312), replace(GATE, incumbent_tolerance=0.01)
    ).passed


@pytest.mark.parametrize(
    "other",
    [
        replace(GOOD, horizon=1),
        replace(GOOD, rows=99_999),
        replace(GOOD, last_session=date(2022, 12, 19)),
    ],
)
def test_records_of_different_rows_are_not_compared(other: Evaluation) -> None:
    with pytest.raises(InvalidInput, match="same folds"):
        judge(GOOD, other, GATE)
