"""Quality results, signals, targets and cost analyses: round trips and idempotent writes."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import Side
from warehouse.market import MarketWarehouse
from warehouse.market.quality_results import QualityResult
from warehouse.market.targets import Target
from warehouse.market.tca import TcaRow

NOW = datetime(2024, 1, 2, 13, 0, 0, 250, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SESSION = date(2024, 1, 2)


@pytest.fixture
def warehouse(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "warehouse.duckdb", deadline=5)


def test_quality_results_are_kept_by_run(warehouse: MarketWarehouse) -> None:
    whole = QualityResult("run1", "bars_daily", None, "unique", True, "0 doubles", NOW)
    one = replace(whole, symbol="KO", expectation="no gaps", passed=False, observed="2 gaps")
    warehouse.quality.record([whole, one])
    warehouse.quality.record([whole, replace(one, passed=True, observed="none", at=LATER)])
    warehouse.quality.record([replace(whole, run_id="run2")])
    warehouse.quality.record([])
    assert warehouse.quality.of_run("run1") == (
        whole,
        replace(one, passed=True, observed="none", at=LATER),
    )
    assert warehouse.quality.of_run("run3") == ()


def test_signals_of_one_version_are_replaced_as_a_whole(warehouse: MarketWarehouse) -> None:
    warehouse.signals.record(SESSION, "3", {"AAPL": 0.1, "KO": 0.2}, NOW)
    warehouse.signals.record(SESSION, "4", {"AAPL": -0.5}, NOW)
    for _ in range(2):
        warehouse.signals.record(SESSION, "3", {"AAPL": 1 / 3, "PEP": 0.7}, LATER)
    found = warehouse.signals.of_session(SESSION)
    rows = list(zip(found["symbol"], found["model_version"], found["score"], strict=True))
    assert rows == [("PEP", "3", 0.7), ("AAPL", "3", 1 / 3), ("AAPL", "4", -0.5)]
    assert found["made_at"].tolist() == [LATER, LATER, NOW]
    assert found["session"].tolist() == [SESSION] * 3
    assert len(warehouse.signals.of_session(date(2024, 1, 3))) == 0


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_signal_must_be_finite(warehouse: MarketWarehouse, score: float) -> None:
    with pytest.raises(InvalidInput, match="score of KO"):
        warehouse.signals.record(SESSION, "3", {"AAPL": 0.1, "KO": score}, NOW)
    assert len(warehouse.signals.of_session(SESSION)) == 0


def test_targets_of_one_strategy_are_replaced_as_a_whole(warehouse: MarketWarehouse) -> None:
    apple = Target(SESSION, "ml", "AAPL", 0.25, 130, Decimal("185.64"), NOW)
    coke = Target(SESSION, "ml", "KO", -0.1, -20, Decimal("59.93"), NOW)
    warehouse.targets.record(SESSION, "ml", [apple, coke])
    warehouse.targets.record(SESSION, "pairs", [replace(coke, strategy="pairs")])
    for _ in range(2):
        warehouse.targets.record(SESSION, "ml", [replace(coke, shares=-21, at=LATER)])
    assert warehouse.targets.of_session(SESSION, "ml") == (replace(coke, shares=-21, at=LATER),)
    assert len(warehouse.targets.of_session(SESSION, "pairs")) == 1
    warehouse.targets.record(SESSION, "ml", [])
    assert warehouse.targets.of_session(SESSION, "ml") == ()


def test_cost_rows_keep_what_is_unknown_unknown(warehouse: MarketWarehouse) -> None:
    known = TcaRow(
        SESSION, "p1", "AAPL", Side.BUY, 100, 100, Decimal("185.70"), Decimal("185.66"),
        Decimal("185.64"), 3.2, Decimal("6.00000001"), Decimal("0.35"), NOW,
    )  # fmt: skip
    empty = TcaRow(
        SESSION, "p2", "KO", Side.SELL, 50, 0, None, None, Decimal("59.93"), None, None, None, NOW
    )
    warehouse.tca.record([known, replace(empty, filled=10)])
    warehouse.tca.record([known, empty])
    warehouse.tca.record([])
    assert warehouse.tca.of_session(SESSION) == (known, empty)
    assert warehouse.tca.of_session(date(2024, 1, 3)) == ()


def test_money_is_kept_to_a_hundred_millionth(warehouse: MarketWarehouse) -> None:
    row = TcaRow(
        SESSION, "p1", "AAPL", Side.BUY, 3, 3, Decimal(1) / 3, None, Decimal(1), None, None, None,
        NOW,
    )  # fmt: skip
    warehouse.tca.record([row])
    (found,) = warehouse.tca.of_session(SESSION)
    assert found.avg_price == Decimal("0.33333333")
    with pytest.raises(InvalidInput, match="avg_price"):
        warehouse.tca.record([replace(row, avg_price=Decimal("1E+20"))])
