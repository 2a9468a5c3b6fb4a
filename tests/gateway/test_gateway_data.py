"""Every kind of market data through the unmodified ib_async, at one moment of one session."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from ib_async import IB, Forex, Index, MarketOrder, Stock

pytestmark = pytest.mark.journey


@asynccontextmanager
async def connected(gateway, client_id=1):
    ib = IB()
    ib.told = []
    ib.errorEvent += lambda request, code, text, contract: ib.told.append((code, text))
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=client_id, timeout=20)
    try:
        yield ib
    finally:
        ib.disconnect()
        await asyncio.sleep(0)


async def until(check, seconds=15):
    for _ in range(int(seconds / 0.01)):
        if check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


def codes(ib):
    return [code for code, _ in ib.told]


async def refused(ib, request):
    """Return the code that a request is refused with; ib_async waits on after a 321."""
    ib.told.clear()
    task = asyncio.ensure_future(request)
    await until(lambda: codes(ib))
    task.cancel()
    return codes(ib)[0]


KO = Stock("KO", "SMART", "USD", conId=700_000_010)
EUR = Forex("EURUSD")
SPX = Index("SPX", "CBOE", "USD")


async def test_tick_by_tick_is_what_history_tells_later(free_gateway, open_control):
    control = await open_control(free_gateway)
    await control.ask("hold")
    await control.advance("15:00:00")
    async with connected(free_gateway) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        trades = ib.reqTickByTickData(ko, "AllLast")
        quotes = ib.reqTickByTickData(ko, "BidAsk", 0, False)
        await asyncio.sleep(0.2)
        got, sides = [], []
        trades.updateEvent += lambda t: got.extend(t.tickByTicks)
        quotes.updateEvent += lambda t: sides.extend(t.tickByTicks)
        await control.advance("15:00:30")
        await until(lambda: len(got) > 30)
        prints = [(t.time, t.price, t.size) for t in got if hasattr(t, "price")]
        later = await ib.reqHistoricalTicksAsync(
            ko, "20221229 15:00:00 UTC", "", len(prints), "TRADES", True
        )
        assert prints
        told = [(t.price, t.size) for t in later if t.time.second or t.time.minute == 0]
        assert [(price, size) for _, price, size in prints][-5:] == told[-5:]
        assert all(tick.askPrice > tick.bidPrice for tick in sides if hasattr(tick, "askPrice"))
        ib.cancelTickByTickData(ko, "AllLast")
        assert not [code for code in codes(ib) if code < 2000]


async def test_past_ticks_of_every_kind(free_gateway):
    async with connected(free_gateway) as ib:
        end = "20221228 21:00:00 UTC"
        for contract, shows in (
            (KO, ("TRADES", "BID_ASK", "MIDPOINT")),
            (EUR, ("BID_ASK", "MIDPOINT")),
        ):
            (known,) = await ib.qualifyContractsAsync(contract)
            for show in shows:
                ticks = await ib.reqHistoricalTicksAsync(known, "", end, 40, show, True)
                assert len(ticks) == 40
                assert [t.time for t in ticks] == sorted(t.time for t in ticks)
        (spx,) = await ib.qualifyContractsAsync(SPX)
        for contract, start, show, code in (
            (spx, "", "TRADES", 162),
            (KO, end, "TRADES", 321),
            (KO, "", "ASK", 321),
        ):
            ticks = ib.reqHistoricalTicksAsync(contract, start, end, 10, show, True)
            assert await refused(ib, ticks) == code


async def test_five_second_bars(free_gateway, open_control):
    control = await open_control(free_gateway)
    await control.ask("hold")
    await control.advance("15:10:00")
    async with connected(free_gateway) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        trades = ib.reqRealTimeBars(ko, 5, "TRADES", True)
        asks = ib.reqRealTimeBars(ko, 5, "ASK", True)
        await asyncio.sleep(0.2)
        await control.advance("15:11:00")
        await until(lambda: len(trades) == 12 and len(asks) == 12)
        assert [bar.time.second for bar in trades] == list(range(0, 60, 5))
        assert all(bar.low <= bar.close <= bar.high and bar.volume > 0 for bar in trades)
        history = await ib.reqHistoricalDataAsync(
            ko, "20221229 15:11:00 UTC", "60 S", "5 secs", "TRADES", True, 2
        )
        assert [(b.open, b.high, b.low, b.close, b.volume) for b in history] == [
            (b.open_, b.high, b.low, b.close, b.volume) for b in trades
        ]
        assert all(ask.close >= bar.close for ask, bar in zip(asks, trades, strict=True))


SIZES = (
    *("1 secs", "5 secs", "10 secs", "15 secs", "30 secs", "1 min", "2 mins", "3 mins", "5 mins"),
    *("10 mins", "15 mins", "20 mins", "30 mins", "1 hour", "2 hours", "3 hours", "4 hours"),
    *("8 hours", "1 day", "1 week", "1 month"),
)


@pytest.mark.parametrize("contract", [KO, EUR, SPX], ids=["stock", "forex", "index"])
async def test_bars_of_every_size(free_gateway, contract):
    show = "MIDPOINT" if contract.secType == "CASH" else "TRADES"
    async with connected(free_gateway) as ib:
        (known,) = await ib.qualifyContractsAsync(contract)
        for size in SIZES:
            span = "1800 S" if size.endswith("secs") else "3 M" if "month" in size else "2 W"
            bars = await ib.reqHistoricalDataAsync(
                known, "20221228 17:00:00 UTC", span, size, show, True
            )
            assert bars, size
            assert all(b.low <= min(b.open, b.close) for b in bars)
            assert all(b.high >= max(b.open, b.close) for b in bars)
        bad = ib.reqHistoricalDataAsync(known, "", "2 D", "7 mins", show, True)
        assert await refused(ib, bad) == 321


async def test_bars_of_every_kind_of_price(free_gateway):
    async with connected(free_gateway) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)

        async def last(show, size="1 hour"):
            bars = await ib.reqHistoricalDataAsync(ko, "", "5 D", size, show, True)
            return bars[-1] if bars else None

        trades, bid, ask = await last("TRADES"), await last("BID"), await last("ASK")
        assert bid.close <= trades.close <= ask.close
        assert bid.close < (await last("MIDPOINT")).close < ask.close
        assert (await last("MIDPOINT", "1 day")).close == (await last("TRADES", "1 day")).close
        both = await last("BID_ASK")
        assert both.low == pytest.approx(bid.low)
        assert both.high == pytest.approx(ask.high)
        assert await last("ADJUSTED_LAST") == trades
        for show in ("HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY"):
            assert 0.05 < (await last(show, "1 day")).close < 1.5
            assert await refused(ib, last(show)) == 162
        assert await refused(ib, last("FEE_RATE")) == 162
        assert await refused(ib, last("NONSENSE")) == 321
        for end, length in (("20221228 17:00:00 UTC", "1 D"), ("", "400 D")):
            bars = ib.reqHistoricalDataAsync(ko, end, length, "1 day", "ADJUSTED_LAST", True)
            assert await refused(ib, bars) == 321


async def test_histogram_schedule_and_head_timestamp(free_gateway):
    async with connected(free_gateway) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        (eur,) = await ib.qualifyContractsAsync(EUR)
        shares = await ib.reqHistogramDataAsync(ko, True, "3 days")
        assert [level.price for level in shares] == sorted(level.price for level in shares)
        assert sum(level.count for level in shares) > 10_000_000
        schedule = await ib.reqHistoricalScheduleAsync(eur, 3)
        first = schedule.sessions[0]
        assert (first.startDateTime[9:], first.endDateTime[9:]) == ("17:15:00", "17:00:00")
        assert await ib.reqHeadTimeStampAsync(eur, "MIDPOINT", True, 2)
        assert await refused(ib, ib.reqHeadTimeStampAsync(eur, "TRADES", True, 2)) == 162


async def test_every_generic_tick_and_one_that_does_not_exist(free_gateway, open_control):
    control = await open_control(free_gateway)
    await control.ask("hold")
    await control.advance("16:00:00")
    async with connected(free_gateway) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        asked = (
            "100,101,104,105,106,165,221,225,232,233,236,258,293,294,295,318,375,411,456,588,595"
        )
        ticker = ib.reqMktData(ko, asked)
        await until(lambda: ticker.high52week == ticker.high52week and ticker.rtVolume > 0)
        assert ticker.low52week <= ticker.low26week <= ticker.low13week < ticker.high13week
        assert ticker.bid <= ticker.markPrice <= ticker.ask
        assert (ticker.shortable, ticker.shortableShares) == (3.0, 5_000_000)
        assert 0.05 < ticker.histVolatility < 1.0
        assert ticker.tradeCount > 0
        assert ticker.lastRthTrade == ticker.last
        assert 0 < ticker.volumeRate3Min <= ticker.volumeRate5Min <= ticker.volumeRate10Min
        assert ticker.avVolume > 0
        ib.cancelMktData(ko)
        (pep,) = await ib.qualifyContractsAsync(Stock("PEP", "SMART", "USD"))
        ib.reqMktData(pep, "233,999")
        await until(lambda: 321 in codes(ib))


SAMPLE = "100,101,104,105,106,165,221,225,232,233,236,258,293,294,295,318,456"  # as clients do


async def test_what_clients_ask_for_by_default_has_values(free_gateway, open_control):
    control = await open_control(free_gateway)
    await control.ask("hold")
    await control.advance("16:02:00")
    async with connected(free_gateway) as ib:
        (spy,) = await ib.qualifyContractsAsync(Stock("SPY", "ARCA", "USD"))
        ticker = ib.reqMktData(spy, SAMPLE + ",576,577,578,614,623")
        await until(lambda: ticker.etfFrozenNavLast > 0)
        options = (ticker.callVolume, ticker.putVolume, ticker.callOpenInterest)
        assert (*options, ticker.putOpenInterest, ticker.avOptionVolume) == (0, 0, 0, 0, 0)
        assert (ticker.auctionVolume, ticker.auctionImbalance) == (0, 0)
        assert ticker.etfNavLow <= ticker.etfNavLast <= ticker.etfNavHigh
        assert ticker.etfNavBid < ticker.etfNavLast < ticker.etfNavAsk
        assert ticker.etfNavLast == pytest.approx(ticker.last, rel=0.002)
        assert ticker.etfFrozenNavLast == ticker.etfNavClose == ticker.close
        known = ticker.fundamentalRatios
        assert known.NLOW < known.NPRICE <= known.NHIG * 1.2
        assert known.CURRENCY == "USD"
        assert known.MKTCAP != known.MKTCAP
        buyer = MarketOrder("BUY", 400)
        buyer.orderType = "MOC"
        trade = ib.placeOrder(spy, buyer)
        await control.advance("16:02:01")
        await until(lambda: ticker.auctionImbalance == 400)
        assert ticker.auctionPrice > 0
        ib.cancelOrder(trade.order)
        await until(trade.isDone)


async def test_quotes_of_a_fund_an_index_and_a_currency_pair(free_gateway, open_control):
    control = await open_control(free_gateway)
    await control.ask("hold")
    await control.advance("16:05:00")
    async with connected(free_gateway) as ib:
        contracts = (Stock("SPY", "ARCA", "USD"), SPX, EUR, Stock("SIM042", "SMART", "USD"))
        known = await ib.qualifyContractsAsync(*contracts)
        spy, spx, eur, sim = await ib.reqTickersAsync(*known)
        assert 0 < spy.bid < spy.ask
        assert spx.last > 0
        assert spx.bid != spx.bid or spx.bid < 0
        assert round((eur.ask - eur.bid) / 0.00005) >= 1
        assert round(eur.bid / 0.00005) * 0.00005 == pytest.approx(eur.bid, abs=1e-9)
        assert eur.bidSize >= 1_000_000
        assert sim.volume > 0
        (details,) = await ib.reqContractDetailsAsync(EUR)
        assert (details.minTick, details.contract.localSymbol) == (0.00005, "EUR.USD")
        assert details.tradingHours.split(";") == [
            *("20221228:1715-20221229:1700", "20221229:1715-20221230:1700"),
            *("20221231:CLOSED", "20230101:CLOSED", "20230102:1715-20230103:1700"),
        ]
        (rule,) = await ib.reqMarketRuleAsync(int(details.marketRuleIds))
        assert rule.increment == 0.00005


async def test_frozen_quotes_once_after_market_trading_has_ended(free_gateway, open_control):
    control = await open_control(free_gateway)
    await control.ask("hold")
    await control.advance("2022-12-30T01:30:00")
    async with connected(free_gateway) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        ib.reqMarketDataType(2)
        (frozen,) = await ib.reqTickersAsync(ko)
        assert frozen.marketDataType == 2
        assert 0 < frozen.bid < frozen.ask
        ib.reqMarketDataType(1)


async def test_delayed_data_is_what_the_market_was_fifteen_minutes_ago(
    tmp_path, start_gateway, open_control
):
    gateway = start_gateway(tmp_path, "--market-data", "delayed", "--clock", "step")
    control = await open_control(gateway)
    await control.ask("hold")
    await control.advance("15:00:00")
    async with connected(gateway) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        ib.reqMktData(ko)
        await until(lambda: 354 in codes(ib))
        (pep,) = await ib.qualifyContractsAsync(Stock("PEP", "SMART", "USD"))
        ib.reqMarketDataType(3)
        ticker = ib.reqMktData(pep)
        await until(lambda: ticker.bid > 0 and ticker.volume > 0)
        assert ticker.marketDataType == 3
        assert 10167 in codes(ib)
        (past,) = await ib.reqHistoricalTicksAsync(
            pep, "", "20221229 14:45:00 UTC", 1, "BID_ASK", False
        )
        assert (ticker.bid, ticker.ask) == (past.priceBid, past.priceAsk)


async def test_bars_are_kept_up_to_date(free_gateway, open_control):
    control = await open_control(free_gateway)
    await control.ask("hold")
    await control.ask("advance", to="2022-12-30T15:00:00+00:00")
    async with connected(free_gateway) as ib:
        (ko,) = await ib.qualifyContractsAsync(KO)
        bars = await ib.reqHistoricalDataAsync(
            ko, "", "600 S", "1 min", "TRADES", True, 2, keepUpToDate=True
        )
        before = len(bars)
        await control.ask("advance", to="2022-12-30T15:03:30+00:00")
        await until(lambda: len(bars) >= before + 3)
        whole = await ib.reqHistoricalDataAsync(ko, "", "600 S", "1 min", "TRADES", True, 2)
        assert [(b.date, b.close, b.volume) for b in bars[-3:]] == [
            (b.date, b.close, b.volume) for b in whole[-3:]
        ]
        ib.cancelHistoricalData(bars)


async def test_indices_and_currencies_take_no_orders(free_gateway):
    async with connected(free_gateway) as ib:
        for contract, code in ((SPX, 201), (EUR, 460)):
            (known,) = await ib.qualifyContractsAsync(contract)
            ib.placeOrder(known, MarketOrder("BUY", 1000))
            await until(lambda code=code: code in codes(ib))
