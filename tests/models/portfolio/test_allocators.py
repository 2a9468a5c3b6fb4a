import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from models.portfolio.allocators import (
    Allocator,
    EqualWeight,
    TopQuantileInverseVolatility,
)

SIGNALS = pd.Series({"A": 0.3, "B": 0.1, "C": 0.2, "D": -0.1, "E": -0.2})
RISK = pd.Series({"A": 0.2, "B": 0.5, "C": 0.4, "D": 0.1, "E": 0.1})
ALLOCATORS: list[Allocator] = [TopQuantileInverseVolatility(), EqualWeight()]


def test_holds_the_best_by_inverse_volatility() -> None:
    weights = TopQuantileInverseVolatility(0.4, gross=0.9, max_weight=1.0).weights(SIGNALS, RISK)
    assert weights.to_dict() == pytest.approx({"A": 0.6, "C": 0.3, "B": 0.0, "D": 0.0, "E": 0.0})


def test_what_the_cap_cuts_goes_to_the_others() -> None:
    weights = TopQuantileInverseVolatility(0.6, gross=0.9, max_weight=0.4).weights(SIGNALS, RISK)
    assert weights[["A", "C", "B"]].tolist() == pytest.approx([0.4, 0.5 * 5 / 9, 0.5 * 4 / 9])


def test_the_cap_can_leave_cash() -> None:
    weights = TopQuantileInverseVolatility().weights(SIGNALS, RISK)
    assert weights.to_dict() == {"A": 0.15, "C": 0.15, "B": 0.0, "D": 0.0, "E": 0.0}


def test_equal_signals_go_by_symbol_whatever_the_input_order() -> None:
    signals = pd.Series({"Z": 1.0, "B": 1.0, "A": 1.0, "C": 0.0, "D": 0.0})
    risk = pd.Series(0.2, index=signals.index)
    weights = TopQuantileInverseVolatility().weights(signals, risk)
    assert sorted(weights[weights > 0].index) == ["A", "B"]


def test_only_held_symbols_need_a_volatility() -> None:
    gaps = RISK.drop("E").where(RISK.index[:-1] != "D", np.nan)
    assert TopQuantileInverseVolatility().weights(SIGNALS, gaps).sum() == pytest.approx(0.3)
    for wrong in (np.nan, 0.0, -1.0, np.inf):
        with pytest.raises(InvalidInput, match=r"no positive volatility for \['C'\]"):
            TopQuantileInverseVolatility().weights(SIGNALS, RISK.where(RISK.index != "C", wrong))


def test_equal_weight_spreads_the_gross_over_all() -> None:
    weights = EqualWeight(gross=0.5).weights(SIGNALS, RISK)
    assert weights.tolist() == pytest.approx([0.1] * 5)


@pytest.mark.parametrize("allocator", ALLOCATORS)
@pytest.mark.parametrize(
    ("signals", "told"),
    [
        (SIGNALS * 0.0, "the same"),
        (SIGNALS.where(SIGNALS.index != "B", np.nan), r"\['B'\] are not finite"),
        (SIGNALS.where(SIGNALS.index != "B", np.inf), r"\['B'\] are not finite"),
        (SIGNALS.iloc[:0], "empty"),
        (pd.concat([SIGNALS, SIGNALS]), "twice"),
    ],
)
def test_signals_that_say_nothing_are_refused(
    allocator: Allocator, signals: pd.Series, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        allocator.weights(signals, RISK)


@pytest.mark.parametrize("value", [0.0, -0.1, 1.01, float("nan")])
@pytest.mark.parametrize("name", ["fraction", "gross", "max_weight"])
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=name):
        TopQuantileInverseVolatility(**{name: value})
    with pytest.raises(InvalidInput, match="gross"):
        EqualWeight(gross=value)
