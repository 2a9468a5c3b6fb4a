"""A quote is made once of what a ticker shows, and anew as soon as that is anything else."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import nan

import pytest
from ib_async import Stock, TickData, Ticker

from tasks.broker.ibkr import EvidenceIB
from tasks.broker.market_data import DataConnection

NOW = datetime(2023, 1, 3, 15, tzinfo=UTC)


@pytest.fixture
async def link() -> DataConnection:
    link = DataConnection(EvidenceIB(), "nowhere", 1.0)
    link._contracts["KO"] = Stock("KO", "SMART", "USD", conId=1)
    ticker = Ticker(contract=link._contracts["KO"], marketDataType=1)
    ticker.bid, ticker.ask, ticker.bidSize, ticker.askSize = 60.0, 60.1, 5, 6
    ticker.ticks = [TickData(NOW, 1, 60.0, 5)]
    link._ib.wrapper.tickers[hash(link._contracts["KO"])] = ticker
    link.stamp_quotes_with(lambda: NOW)
    link._stamp(ticker)
    return link


async def test_the_same_ticker_gives_the_same_quote(link: DataConnection) -> None:
    first = link.quote("KO")
    assert first is not None
    assert (first.bid, first.ask, first.at) == (Decimal("60.0"), Decimal("60.1"), NOW)
    assert link.quote("KO") is first


@pytest.mark.parametrize(
    ("name", "value", "is_usable"),
    [("bid", 59.9, True), ("askSize", 9, True), ("ask", nan, False), ("marketDataType", 3, False)],
)
async def test_a_change_without_a_tick_is_seen(
    link: DataConnection, name: str, value: float, is_usable: bool
) -> None:
    before = link.quote("KO")
    setattr(link._ib.ticker(link._contracts["KO"]), name, value)
    after = link.quote("KO")
    assert after != before
    assert (after is not None) is is_usable


async def test_a_later_tick_of_the_same_prices_is_younger(link: DataConnection) -> None:
    link.quote("KO")
    later = NOW + timedelta(seconds=3)
    link.stamp_quotes_with(lambda: later)
    link._stamp(link._ib.ticker(link._contracts["KO"]))
    found = link.quote("KO")
    assert found is not None
    assert found.at == later
