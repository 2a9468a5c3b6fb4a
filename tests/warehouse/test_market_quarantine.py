"""Quarantine: refused rows are kept once with their reason, found by id, and released by name."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from warehouse.market import MarketWarehouse

NOW = datetime(2024, 1, 2, 13, 0, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "warehouse.duckdb", deadline=5)


def _rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": ["KO", None],
            "session": [date(2023, 12, 29), date(2023, 12, 30)],
            "close": [float("nan"), 60.5],
            "volume": [100, -1],
        }
    )


def test_refused_rows_are_kept_once_with_their_reasons(warehouse: MarketWarehouse) -> None:
    reasons = ["close is empty", "volume below 0"]
    names = ["filled", "volume"]
    keep = warehouse.quarantine.add
    assert keep("bars_daily", _rows(), reasons, "run1", NOW, expectations=names, source="f") == 2
    assert keep("bars_daily", _rows(), reasons, "run2", NOW + timedelta(days=1)) == 0
    assert keep("bars_other", _rows().iloc[:1], reasons[:1], "run2", NOW) == 1
    found = {row.symbol: row for row in warehouse.quarantine.rows("bars_daily")}
    ko = found["KO"]
    assert (ko.reason, ko.expectation, ko.source, ko.run_id) == (reasons[0], "filled", "f", "run1")
    assert ko.moment == datetime(2023, 12, 29, tzinfo=UTC) and ko.refused_at == NOW
    assert ko.content == {"symbol": "KO", "session": "2023-12-29", "close": "nan", "volume": 100}
    assert found[""].content["symbol"] is None
    assert warehouse.quarantine.count() == 3


def test_a_release_names_the_person_and_lasts(warehouse: MarketWarehouse) -> None:
    warehouse.quarantine.add("bars_daily", _rows(), ["a", "b"], "run1", NOW)
    row = warehouse.quarantine.rows(symbol="KO")[0]
    assert warehouse.quarantine.find([row.id[:8]]) == (row,)
    assert warehouse.quarantine.mark_released([row.id], "ann", "checked", NOW) == 1
    assert warehouse.quarantine.mark_released([row.id], "bob", "again", NOW) == 0
    assert warehouse.quarantine.released_ids("bars_daily") == {row.id}
    assert warehouse.quarantine.add("bars_daily", _rows(), ["a", "b"], "run2", NOW) == 0
    assert len(warehouse.quarantine.rows()) == 1
    kept = warehouse.quarantine.rows(symbol="KO", with_released=True)[0]
    assert (kept.released_by, kept.release_reason, kept.released_at) == ("ann", "checked", NOW)


def test_wrong_use_says_what_to_do(warehouse: MarketWarehouse) -> None:
    with pytest.raises(InvalidInput, match="one of each"):
        warehouse.quarantine.add("bars_daily", _rows(), ["only one"], "run1", NOW)
    with pytest.raises(InvalidInput, match="robo data quarantine list"):
        warehouse.quarantine.find(["abcdefgh"])
