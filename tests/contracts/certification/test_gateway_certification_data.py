"""GW-1xx sessions, GW-2xx reference data, GW-3xx market data, GW-5xx the account."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

pytestmark = pytest.mark.journey

TOP = ("1", "2")


async def test_gw101_startup_ends_every_list(desk):
    """Connecting sends accounts, the next order id and every END, and comes to rest."""
    kinds = {fields[0] for fields in desk.heard}
    assert {"15", "9", "62", "53", "102", "54", "55"} <= kinds
    assert desk.ib.client.serverVersion() in {176, 178}
    assert len(desk.ib.managedAccounts()) >= 1


async def test_gw102_data_farms_are_reported(desk):
    """2104, 2106 and 2158 are told after connecting."""
    await desk.until(lambda: {2104, 2106, 2158} <= {int(f[3]) for f in desk.of(4)})


async def test_gw103_a_client_id_serves_one_client(desk, open_desk):
    """A second connection with the id of another is refused with 326."""
    with pytest.raises((TimeoutError, asyncio.TimeoutError, ConnectionError)):
        await asyncio.wait_for(open_desk(desk.client_id), 1)
    assert desk.ib.isConnected()


async def test_gw104_current_time(desk):
    """reqCurrentTime is answered with the broker's time."""
    assert (await desk.flushed()).year >= 2022


async def test_gw105_malformed_requests_name_their_field(desk):
    """A request with a field too many is answered 320 or 321; the connection lives."""
    desk.heard.clear()
    desk.ib.client.send(49, 1, "extra")
    await desk.until(lambda: {320, 321} & set(desk.codes()))
    await desk.flushed()


async def test_gw106_unknown_requests_are_answered(desk):
    """A message id of no request is answered with an error; the connection lives."""
    desk.heard.clear()
    desk.ib.client.send(12345)
    await desk.until(desk.codes)
    await desk.flushed()


async def test_gw201_details_by_symbol_con_id_and_local_symbol(desk):
    """A stock is found by its symbol, its conId and its local symbol, once each."""
    lib = desk.lib
    contract = await desk.stock()
    for asked in (
        lib.Contract(conId=contract.conId),
        lib.Contract(secType="STK", localSymbol="KO", exchange="SMART", currency="USD"),
        lib.Stock("KO", "SMART", "USD", primaryExchange="NYSE"),
    ):
        (details,) = await desk.ib.reqContractDetailsAsync(asked)
        assert details.contract.conId == contract.conId
        assert details.minTick > 0
        assert "SMART" in details.validExchanges


async def test_gw202_matching_symbols(desk):
    """reqMatchingSymbols finds a stock by the beginning of its symbol."""
    found = await desk.ib.reqMatchingSymbolsAsync("KO")
    assert "KO" in {description.contract.symbol for description in found}


async def test_gw203_unknown_contracts_are_200(desk):
    """Nothing is found: 200."""
    desk.heard.clear()
    assert await desk.ib.reqContractDetailsAsync(desk.lib.Stock("NOSUCH", "SMART", "USD")) == []
    assert desk.codes() == [200]


async def test_gw204_market_rules(desk):
    """The market rule that the details name gives the price increments."""
    contract = await desk.stock()
    (details,) = await desk.ib.reqContractDetailsAsync(contract)
    rules = await desk.ib.reqMarketRuleAsync(int(details.marketRuleIds.split(",")[0]))
    assert rules[0].lowEdge == 0.0
    assert 0 < rules[-1].increment <= 1


async def test_gw205_trading_hours(desk):
    """Details tell trading and liquid hours of several days with their time zone."""
    contract = await desk.stock()
    (details,) = await desk.ib.reqContractDetailsAsync(contract)
    assert len(details.tradingHours.split(";")) >= 5
    assert details.liquidHours
    assert details.timeZoneId in {"US/Eastern", "EST", "EST5EDT", "America/New_York"}


async def test_gw301_daily_bars(desk):
    """Daily history: the asked number of sessions, oldest first, high over low."""
    contract = await desk.stock()
    bars = await desk.ib.reqHistoricalDataAsync(contract, "", "5 D", "1 day", "TRADES", True)
    assert len(bars) == 5
    assert [bar.date for bar in bars] == sorted(bar.date for bar in bars)
    assert all(bar.low <= min(bar.open, bar.close) <= bar.high for bar in bars)


async def test_gw302_intraday_bars(desk):
    """Five-minute bars of one session, evenly spaced."""
    contract = await desk.stock()
    bars = await desk.ib.reqHistoricalDataAsync(contract, "", "1 D", "5 mins", "TRADES", True)
    assert bars
    gaps = {b.date - a.date for a, b in pairwise(bars)}
    assert min(gaps, default=timedelta(minutes=5)) == timedelta(minutes=5)


async def test_gw303_head_timestamp(desk):
    """The head timestamp lies before the first bars of today."""
    contract = await desk.stock()
    head = await desk.ib.reqHeadTimeStampAsync(contract, "TRADES", True, 2)
    assert head.year < 2022


async def test_gw304_history_without_data_is_162(desk):
    """Bars of a time before all history: 162."""
    contract = await desk.stock()
    bars = await desk.ib.reqHistoricalDataAsync(
        contract, "19500101 00:00:00 UTC", "1 D", "1 day", "TRADES", True
    )
    assert (list(bars), desk.codes(100)) == ([], [162])


async def test_gw305_a_bad_end_time_is_an_error(desk):
    """An end time that is none: 10314 (older gateways 321)."""
    contract = await desk.stock()
    desk.ib.client.reqHistoricalData(
        desk.ib.client.getReqId(), contract, "soon", "1 D", "1 day", "TRADES", 1, 1, False, []
    )
    await desk.until(lambda: {10314, 321} & set(desk.codes()))


async def test_gw306_trading_schedule(desk):
    """whatToShow SCHEDULE tells the sessions."""
    contract = await desk.stock()
    schedule = await desk.ib.reqHistoricalScheduleAsync(contract, 3)
    assert len(schedule.sessions) == 3


async def test_gw311_top_of_book_streams(desk, market):
    """Bid below ask, sizes, volume; and changes as time passes."""
    contract = await desk.stock()
    ticker = desk.ib.reqMktData(contract)
    await desk.until(lambda: ticker.bid > 0 and ticker.volume >= 0)
    assert ticker.bid < ticker.ask
    desk.heard.clear()
    await market.go(60)
    await desk.until(lambda: desk.of(*TOP))
    desk.ib.cancelMktData(contract)
    await desk.flushed()
    desk.heard.clear()
    await market.go(10)
    await desk.flushed()
    assert desk.of(*TOP) == []


async def test_gw312_a_snapshot_ends(desk, market):
    """A snapshot is told once, and its end."""
    contract = await desk.stock()
    desk.ib.reqMktData(contract, "", True, False)
    await desk.until(lambda: desk.of(57), 15)
    desk.heard.clear()
    await market.go(5)
    await desk.flushed()
    assert desk.of(*TOP) == []


async def test_gw313_tick_by_tick(desk, market):
    """Last, and bid and ask, tick by tick."""
    # An instrument each: the same one may be asked for again after 15 s only.
    contract = await desk.stock({"ib_async": "KO", "ib_insync": "PFE"}[desk.lib.__name__])
    desk.ib.reqTickByTickData(contract, "Last")
    desk.ib.reqTickByTickData(contract, "BidAsk")
    await market.go(30)
    await desk.until(lambda: {"1", "3"} <= {fields[2] for fields in desk.of(99)})


async def test_gw314_five_second_bars(desk, market):
    """A bar every five seconds, on the fives."""
    contract = await desk.stock()
    bars = desk.ib.reqRealTimeBars(contract, 5, "TRADES", True)
    await market.go(30)
    await desk.until(lambda: len(bars) >= 5)
    assert all(bar.time.second % 5 == 0 for bar in bars)


async def test_gw315_market_depth(desk, market):
    """Bids fall and asks rise from the touch; a cancel stops them."""
    contract = await desk.stock()
    ticker = desk.ib.reqMktDepth(contract, 5)
    await market.go(5)
    await desk.until(lambda: len(ticker.domBids) >= 3 and len(ticker.domAsks) >= 3)
    bids, asks = ([level.price for level in side] for side in (ticker.domBids, ticker.domAsks))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]


async def test_gw316_historical_ticks(desk, market):
    """Trades of the past, at most the asked number (and those of the last second)."""
    contract = await desk.stock()
    end = f"20221228 15:50:{desk.client_id % 60:02} US/Eastern"  # not asked for a moment ago
    ticks = await desk.ib.reqHistoricalTicksAsync(contract, "", end, 20, "TRADES", True)
    assert 20 <= len(ticks) <= 40
    assert all(tick.price > 0 for tick in ticks)


async def test_gw317_history_kept_up_to_date(desk, market):
    """keepUpToDate goes on where the bars end."""
    contract = await desk.stock()
    bars = await desk.ib.reqHistoricalDataAsync(
        contract, "", "1800 S", "1 min", "TRADES", True, 1, True
    )
    held = len(bars)
    await market.go(130)
    await desk.until(lambda: len(bars) >= held + 2)
    desk.ib.cancelHistoricalData(bars)


async def test_gw501_account_values_and_summary(desk):
    """Net liquidation and cash are told, and alike in values and summary."""
    values = {v.tag: v.value for v in desk.ib.accountValues() if v.currency in {"USD", "BASE", ""}}
    assert "NetLiquidation" in values
    summary = {v.tag: v.value for v in await desk.ib.accountSummaryAsync()}
    assert {"NetLiquidation", "TotalCashValue", "BuyingPower"} <= set(summary)


async def test_gw502_positions(desk):
    """reqPositions ends."""
    await asyncio.wait_for(desk.ib.reqPositionsAsync(), 10)


async def test_gw503_profit_and_loss(desk, market):
    """reqPnL tells a daily profit."""
    account = desk.ib.managedAccounts()[0]
    desk.ib.reqPnL(account)
    await market.go(5)
    await desk.until(lambda: desk.of(94))


async def test_gw504_account_updates_multi(desk):
    """Updates under a request id end."""
    desk.ib.client.reqAccountUpdatesMulti(888, desk.ib.managedAccounts()[0], "", False)
    await desk.until(lambda: [f for f in desk.of(74) if f[2] == "888"])
