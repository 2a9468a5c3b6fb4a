"""Bars that the warehouse builds from minutes are those that the broker sends itself."""

import pandas as pd
import pytest
from ib_async import IB, Stock

from models.domain.sessions import session_on
from warehouse.market import MarketWarehouse

pytestmark = pytest.mark.journey

SIZES = {"5m": "5 mins", "15m": "15 mins", "1h": "1 hour"}
FIGURES = ["open", "high", "low", "close", "volume"]
# A half-day, both changes of the clock in New York, and an ordinary week.
WINDOWS = {
    "half-day": "20221125 23:59:59 UTC",
    "winter time": "20221108 23:59:59 UTC",
    "summer time": "20220315 23:59:59 UTC",
}


async def asked(ib, contract, end: str, size: str) -> pd.DataFrame:
    bars = await ib.reqHistoricalDataAsync(contract, end, "4 D", size, "TRADES", True, 2)
    rows = [(b.date, b.open, b.high, b.low, b.close, int(b.volume)) for b in bars]
    return pd.DataFrame(rows, columns=["ts", *FIGURES])


async def test_every_size_is_the_brokers_own(gateway, tmp_path):
    warehouse = MarketWarehouse(tmp_path / "warehouse.duckdb")
    ib = IB()
    await ib.connectAsync("127.0.0.1", gateway.settings.port, clientId=61)
    try:
        (known,) = await ib.qualifyContractsAsync(Stock("KO", "SMART", "USD"))
        for window, end in WINDOWS.items():
            minutes = (await asked(ib, known, end, "1 min")).assign(symbol="KO")
            merged = warehouse.minutes.merge(minutes, "gateway", minutes["ts"].iloc[-1])
            assert merged.added == len(minutes) > 1000, window
            days = sorted({stamp.date() for stamp in minutes["ts"]})
            read = warehouse.minutes.bars
            for size, name in SIZES.items():
                told = await asked(ib, known, end, name)
                built = read(["KO"], size, days[0], days[-1])
                assert built["ts"].tolist() == told["ts"].tolist(), (window, size)
                pd.testing.assert_frame_equal(built[FIGURES], told[FIGURES], obj=f"{window} {size}")
            told = await asked(ib, known, end, "1 day")
            built = read(["KO"], "1d", days[0], days[-1])
            assert built["ts"].tolist() == [session_on(day).open for day in days], window
            assert built["session"].tolist() == days == told["ts"].tolist()
            pd.testing.assert_frame_equal(built[FIGURES], told[FIGURES], obj=f"{window} 1d")
    finally:
        ib.disconnect()
