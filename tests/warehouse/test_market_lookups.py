"""The as-of join of moments to minutes, and the matrix of daily bars."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.domain.errors import InvalidInput
from warehouse.market import MarketWarehouse

NOW = datetime(2024, 1, 5, 22, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> MarketWarehouse:
    made = MarketWarehouse(tmp_path_factory.mktemp("market") / "warehouse.duckdb")
    rng = np.random.default_rng(4)
    for symbol in ("KO", "AAPL", "PEP"):  # merged out of order, with gaps
        for day in (4, 3):
            ts = pd.date_range(f"2024-01-0{day} 14:30", periods=390, freq="1min", tz="UTC")
            frame = pd.DataFrame({"symbol": symbol, "ts": ts, "open": rng.uniform(9, 11, 390)})
            frame = frame.assign(high=12.0, low=8.0, close=rng.uniform(9, 11, 390), volume=1)
            made.minutes.merge(frame[rng.random(390) < 0.7], "x", NOW)
    return made


def test_each_moment_finds_the_last_bar_that_had_ended(warehouse: MarketWarehouse) -> None:
    bars = warehouse.minutes.bars()
    rng = np.random.default_rng(1)
    span = pd.Timestamp("2024-01-03 14:00", tz="UTC") + pd.to_timedelta(
        rng.integers(0, 40 * 3600, 500), unit="s"
    )
    names = rng.choice(["KO", "AAPL", "PEP", "ZZZ"], 500)
    moments = pd.DataFrame({"symbol": names, "at": span})
    found = warehouse.minutes.last_complete(moments)
    pd.testing.assert_frame_equal(found[["symbol", "at"]], moments)
    for row in found.itertuples():
        ended = bars[(bars["symbol"] == row.symbol) & (bars["ts"] + pd.Timedelta("1min") <= row.at)]
        if ended.empty:
            assert pd.isna(row.ts) and pd.isna(row.close)
        else:
            assert (row.ts, row.close) == (ended["ts"].iloc[-1], ended["close"].iloc[-1])


def test_a_bar_that_is_too_old_or_still_going_on_is_not_used(warehouse: MarketWarehouse) -> None:
    first = warehouse.minutes.bars(["KO"])["ts"].iloc[0]
    moments = pd.DataFrame({"symbol": "KO", "at": [first, first + pd.Timedelta("59s")]})
    late = pd.DataFrame({"symbol": "KO", "at": [pd.Timestamp("2024-02-01", tz="UTC")]})
    assert warehouse.minutes.last_complete(pd.concat([moments, late]))["ts"].isna().all()
    assert len(warehouse.minutes.last_complete(moments.head(0))) == 0


def test_moments_of_another_kind_are_refused(warehouse: MarketWarehouse) -> None:
    moments = pd.DataFrame({"symbol": "KO", "at": [pd.Timestamp("2024-01-03", tz="UTC")]})
    with pytest.raises(InvalidInput, match="choose one of open"):
        warehouse.minutes.last_complete(moments, "vwap")
    with pytest.raises(InvalidInput, match="symbol is empty"):
        warehouse.minutes.last_complete(moments.assign(symbol=[None]))
    with pytest.raises(InvalidInput, match="timezone"):
        warehouse.minutes.last_complete(moments.assign(at=moments["at"].dt.tz_localize(None)))
    with pytest.raises(InvalidInput, match="symbol and at"):
        warehouse.minutes.last_complete(moments.drop(columns="at"))


def test_a_matrix_has_a_row_a_session_and_a_column_a_symbol(tmp_path: Path) -> None:
    warehouse = MarketWarehouse(tmp_path / "warehouse.duckdb")
    rows = [
        (symbol, date(2024, 1, day), 1.0, 9.0, 0.5, close, 7)
        for symbol, day, close in (("KO", 3, 2.0), ("KO", 2, 3.0), ("AAPL", 3, 4.0))
    ]
    columns = ["symbol", "session", "open", "high", "low", "close", "volume"]
    warehouse.bars.merge_daily(pd.DataFrame(rows, columns=columns), "x", NOW)
    found = warehouse.bars.matrix()
    assert found.index.tolist() == [date(2024, 1, 2), date(2024, 1, 3)]
    assert found.columns.tolist() == ["AAPL", "KO"]
    assert found.to_numpy()[1].tolist() == [4.0, 2.0]
    assert np.isnan(found.to_numpy()[0, 0])
    assert warehouse.bars.matrix(symbols=["ZZZ"]).shape == (0, 0)
    with pytest.raises(InvalidInput, match="choose one of open"):
        warehouse.bars.matrix("vwap")


def test_a_lookup_as_of_a_moment_sees_no_later_revision(tmp_path: Path) -> None:
    store = MarketWarehouse(tmp_path / "warehouse.duckdb")
    bar = {"symbol": "KO", "ts": pd.Timestamp("2024-01-03 15:00", tz="UTC"), "volume": 5}
    frame = pd.DataFrame([bar | dict.fromkeys(("open", "high", "low", "close"), 10.0)])
    later = NOW + timedelta(days=1)
    store.minutes.merge(frame, "ibkr", NOW)
    store.minutes.merge(frame.assign(high=11.0, close=11.0), "ibkr", later)
    asked = pd.DataFrame({"symbol": ["KO"], "at": [bar["ts"] + pd.Timedelta("1min")]})
    found = [store.minutes.last_complete(asked, as_of=at)["close"].item() for at in (NOW, later)]
    assert found == [10.0, 11.0] and store.minutes.last_complete(asked)["close"].item() == 11.0
    before = store.minutes.last_complete(asked, as_of=NOW - timedelta(seconds=1))
    assert before["close"].isna().all()
