"""The unmodified ib_async against a real gateway process."""

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from ib_async import IB, Contract, ExecutionFilter, LimitOrder, MarketOrder, Stock
from ib_async.contract import Forex

from gateway.market.universe import INSTRUMENTS

pytestmark = pytest.mark.journey


@asynccontextmanager
async def connected(gateway, client_id=1):
    ib = IB()
    ib.told = []
    ib.errorEvent += lambda request, code, text, contract: ib.told.append((code, text))
    await ib.connectAsync(
        "127.0.0.1", gateway.port, clientId=client_id, timeout=10, raiseSyncErrors=True
    )
    try:
        yield ib
    finally:
        ib.disconnect()
        await asyncio.sleep(0)


async def until(check, seconds=10):
    for _ in range(int(seconds / 0.01)):
        if check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


async def qualified(ib, symbol):
    (contract,) = await ib.qualifyContractsAsync(Stock(symbol, "SMART", "USD"))
    return contract


async def test_connecting_synchronises_everything(shared_gateway):
    async with connected(shared_gateway) as ib:
        assert ib.managedAccounts() == ["SIM0000001"]
        assert {code for code, _ in ib.told} == {2104, 2106, 2158}
        values = {v.tag: v.value for v in ib.accountValues() if v.currency == "USD"}
        assert values["NetLiquidation"] == values["TotalCashValue"] == "100000.00"
        assert ib.positions() == []
        summary = {v.tag: v.value for v in await ib.accountSummaryAsync()}
        assert summary["BuyingPower"] == "400000.00"
        now = await ib.reqCurrentTimeAsync()
        assert now.date() == date(2022, 12, 29)


@pytest.mark.parametrize(
    "contract",
    [
        Stock("AAPL", "SMART", "USD"),
        Contract(conId=INSTRUMENTS[0].con_id),
        Contract(conId=INSTRUMENTS[0].con_id, exchange="SMART"),
        Contract(secType="STK", localSymbol="AAPL", exchange="SMART", currency="USD"),
        Stock("AAPL", "SMART", "USD", primaryExchange="NASDAQ"),
        Stock("AAPL", "ISLAND", "USD"),
        Stock("AAPL", "SMART:NASDAQ", "USD"),
        Stock("AAPL", "SMART/NASDAQ", "USD"),
        Contract(symbol="AAPL", exchange="SMART", currency="USD"),
        Contract(localSymbol="AAPL"),
    ],
)
async def test_contracts_are_found_in_every_way_that_clients_ask(shared_gateway, contract):
    async with connected(shared_gateway) as ib:
        (details,) = await ib.reqContractDetailsAsync(contract)
        assert details.contract.conId == INSTRUMENTS[0].con_id
        assert details.contract.primaryExchange == "NASDAQ"
        assert (details.minTick, details.longName) == (0.01, "APPLE INC")
        assert details.liquidHours.startswith("20221229:0930-20221229:1600;20221230")
        assert details.tradingHours.startswith("20221229:0400-20221229:2000;20221230")
        assert "20221231:CLOSED" in details.tradingHours
        rules = await ib.reqMarketRuleAsync(int(details.marketRuleIds.split(",")[0]))
        assert [(rule.lowEdge, rule.increment) for rule in rules] == [(0.0, 0.01)]


@pytest.mark.parametrize(
    "contract",
    [
        Stock("NOPE", "SMART", "USD"),
        Stock("AAPL", "SMART", "EUR"),
        Stock("AAPL", "SMART", "USD", primaryExchange="NYSE"),
        Contract(conId=1),
        Forex("AUDUSD"),
    ],
)
async def test_unknown_contracts_are_200(shared_gateway, contract):
    async with connected(shared_gateway) as ib:
        assert await ib.reqContractDetailsAsync(contract) == []
        assert ib.told[-1][0] == 200


async def test_matching_symbols(shared_gateway):
    async with connected(shared_gateway) as ib:
        found = await ib.reqMatchingSymbolsAsync("A")
        assert [d.contract.symbol for d in found] == ["AAPL", "AMD", "BAC"]


async def test_daily_history_is_the_real_closes(shared_gateway):
    async with connected(shared_gateway) as ib:
        contract = await qualified(ib, "KO")
        bars = await ib.reqHistoricalDataAsync(contract, "", "33 Y", "1 day", "TRADES", True)
        assert len(bars) == 8313
        assert (bars[0].date, bars[0].close) == (date(1990, 1, 2), 2.235)
        assert (bars[-1].date, bars[-1].close) == (date(2022, 12, 28), 62.609)
        five = await ib.reqHistoricalDataAsync(
            contract, "20221224 00:00:00 UTC", "5 D", "1 day", "TRADES", True
        )
        assert [b.date.day for b in five] == [19, 20, 21, 22, 23]
        assert five[-1] == bars[-3]
        head = await ib.reqHeadTimeStampAsync(contract, "TRADES", True, 2)
        assert head.date() == date(1990, 1, 2)


async def test_intraday_history_schedule_and_errors(shared_gateway):
    async with connected(shared_gateway) as ib:
        contract = await qualified(ib, "PFE")
        bars = await ib.reqHistoricalDataAsync(
            contract, date(2022, 11, 26), "2 D", "5 mins", "TRADES", True
        )
        new_york = ZoneInfo("America/New_York")
        assert bars[0].date == datetime(2022, 11, 23, 9, 30, tzinfo=new_york)
        assert len(bars) == 78 + 42  # the day after Thanksgiving is a half-day
        schedule = await ib.reqHistoricalScheduleAsync(contract, 2, "20221126 00:00:00")
        assert [s.refDate for s in schedule.sessions] == ["20221123", "20221125"]
        assert schedule.sessions[-1].endDateTime == "20221125-13:00:00"
        none = await ib.reqHistoricalDataAsync(
            contract, "19800101 00:00:00", "1 D", "1 day", "TRADES", True
        )
        assert (list(none), ib.told[-1][0]) == ([], 162)
        await ib.reqHistoricalDataAsync(contract, "soon", "1 D", "1 day", "TRADES", True)
        assert ib.told[-1][0] == 10314


async def test_bars_are_kept_up_to_date(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state")
    control = await open_control(gateway)
    await control.advance("14:40:30")
    async with connected(gateway) as ib:
        bars = await ib.reqHistoricalDataAsync(
            await qualified(ib, "GE"), "", "600 S", "1 min", "TRADES", True, 1, True
        )
        assert len(bars) == 10
        half = bars[-1]
        await control.advance("14:42:00")
        await ib.reqCurrentTimeAsync()
        assert [bar.date.minute for bar in bars[-3:]] == [39, 40, 41]
        assert bars[-2].volume > half.volume
        assert bars[-2].open == half.open
        whole = await ib.reqHistoricalDataAsync(
            await qualified(ib, "GE"), "", "120 S", "1 min", "TRADES", True
        )
        assert list(whole) == list(bars[-2:])


async def test_a_used_client_id_is_326(shared_gateway):
    async with connected(shared_gateway, 5):
        second, told = IB(), []
        second.errorEvent += lambda request, code, text, contract: told.append(code)
        with pytest.raises((TimeoutError, ConnectionError)):
            await second.connectAsync("127.0.0.1", shared_gateway.port, clientId=5, timeout=3)
        assert 326 in told


async def test_what_if_tells_margin_and_leaves_nothing(shared_gateway):
    async with connected(shared_gateway) as ib:
        contract = await qualified(ib, "XOM")
        state = await ib.whatIfOrderAsync(contract, LimitOrder("BUY", 100, 100.0))
        assert (state.commission, state.commissionCurrency) == (1.0, "USD")
        assert float(state.initMarginChange) > 0
        assert await ib.reqAllOpenOrdersAsync() == []


async def test_no_request_goes_unanswered(shared_gateway):
    async with connected(shared_gateway) as ib:
        contract = await qualified(ib, "XOM")
        quick = 5
        assert await asyncio.wait_for(ib.reqNewsProvidersAsync(), quick) == []
        assert await asyncio.wait_for(ib.reqSmartComponentsAsync("a6"), quick)
        assert await asyncio.wait_for(ib.reqMktDepthExchangesAsync(), quick)
        await asyncio.wait_for(ib.reqUserInfoAsync(), quick)
        assert (
            await asyncio.wait_for(
                ib.reqSecDefOptParamsAsync("XOM", "", "STK", contract.conId), quick
            )
            == []
        )
        for request in (
            ib.reqFundamentalDataAsync(contract, "ReportSnapshot"),
            ib.reqHistoricalNewsAsync(contract.conId, "BRFG", "", "", 5),
        ):
            await asyncio.wait_for(request, quick)
        assert {430, 10276} <= {code for code, _ in ib.told}
        assert await asyncio.wait_for(ib.reqHistogramDataAsync(contract, True, "3 days"), quick)
        ticks = ib.reqHistoricalTicksAsync(contract, "", "20221228 16:00:00", 10, "TRADES", True)
        assert len(await asyncio.wait_for(ticks, quick)) == 10


async def test_malformed_messages_are_320_and_do_no_harm(shared_gateway):
    async with connected(shared_gateway) as ib:
        ib.client.send(49, 1, "extra")
        ib.client.send(1, 11, 77, "x")
        ib.client.send(12345)
        await until(lambda: len(ib.told) >= 6)
        assert [code for code, _ in ib.told[3:]] == [320, 320, 320]
        assert "left over" in ib.told[3][1]
        assert (await ib.reqCurrentTimeAsync()).year == 2022


async def garbage(gateway, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_garbage_and_old_clients_are_shown_the_door(shared_gateway):
    assert await garbage(shared_gateway, b"GET / HTTP/1.1\r\n\r\n") == b""
    answer = await garbage(shared_gateway, b"API\0\x00\x00\x00\x09v100..156")
    assert b"\x00503\x00" in answer and b"157..178" in answer, "what is spoken, then the end"
    assert await garbage(shared_gateway, b"API\0\xff\xff\xff\xff") == b""
    async with connected(shared_gateway) as ib:
        assert ib.isConnected()


def fills_of(ib):
    """What a client holds of every fill: the execution and its commission."""
    rows = []
    for fill in ib.fills():
        done = fill.execution
        row = (done.execId, done.time, done.shares, done.price, done.orderRef)
        rows.append((*row, fill.commissionReport.commission))
    return rows


async def day(gateway, control, client_id=1):
    """Trade through a morning and return what a client sees of it."""
    async with connected(gateway, client_id) as ib:
        await control.ask("hold", name="test")
        apple, coke = await qualified(ib, "AAPL"), await qualified(ib, "KO")
        ticker = ib.reqMktData(apple)
        queued = ib.placeOrder(coke, MarketOrder("BUY", 40, orderRef="d.0.1"))
        await until(lambda: any(code == 399 for code, _ in ib.told))
        quotes = []
        for minute in range(0, 60, 10):
            await control.advance(f"14:{30 + minute // 2}:00")
            await ib.reqCurrentTimeAsync()
            quotes.append((ticker.bid, ticker.ask, ticker.bidSize, ticker.askSize, ticker.last))
            assert 0 < ticker.bid < ticker.ask
            order = LimitOrder("BUY", 150, round(ticker.ask + 0.02, 2), tif="IOC")
            order.orderRef = f"d.1.{minute}"
            trade = ib.placeOrder(apple, order)
            await until(trade.isDone)
        resting = ib.placeOrder(coke, LimitOrder("BUY", 30, 1.0, tif="GTC", orderRef="d.2.1"))
        await until(lambda: resting.orderStatus.status == "Submitted")
        await control.advance("15:00:00")
        await ib.reqCurrentTimeAsync()
        assert queued.orderStatus.status == "Filled"
        fills = fills_of(ib)
        assert all(fill[-1] > 0 for fill in fills)
        return fills, quotes, {p.contract.symbol: p.position for p in ib.positions()}


async def test_orders_on_the_wire_come_before_the_advance_behind_them(
    start_gateway, open_control, tmp_path
):
    gateway = start_gateway(tmp_path / "state")
    control = await open_control(gateway)
    await control.ask("hold", name="test")
    await control.advance("14:30:00")
    async with connected(gateway) as ib:
        coke = await qualified(ib, "KO")
        for second in range(1, 30):
            trade = ib.placeOrder(coke, MarketOrder("BUY", 1))
            await control.advance(f"14:30:{second:02}")  # without waiting for the order
            await until(trade.isDone)
            assert [f.execution.time.second for f in trade.fills] == [second - 1]


async def test_the_account_is_told_while_the_clock_stands(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state")
    await (await open_control(gateway)).advance("14:35:00")
    async with connected(gateway) as ib:
        profit = ib.reqPnL("SIM0000001")
        trade = ib.placeOrder(await qualified(ib, "KO"), MarketOrder("BUY", 100))
        await until(trade.isDone)
        await ib.reqCurrentTimeAsync()
        cash = next(v.value for v in ib.accountValues() if v.tag == "TotalCashValue")
        spent = sum(Decimal(str(f.execution.price)) * int(f.execution.shares) for f in trade.fills)
        assert Decimal(cash) == 100_000 - spent
        (item,) = ib.portfolio()
        assert item.position == 100
        assert profit.dailyPnL == pytest.approx(float(item.unrealizedPNL))


async def test_two_gateways_with_one_seed_fill_alike(start_gateway, open_control, tmp_path):
    seen = []
    for name, speed in (("a", "3600"), ("b", "700")):
        gateway = start_gateway(tmp_path / name, "--speed", speed)
        seen.append(await day(gateway, await open_control(gateway)))
        gateway.stop()
    assert len(seen[0][0]) >= 7
    assert seen[0] == seen[1]
    other = start_gateway(tmp_path / "c", "--seed", "8")
    assert (await day(other, await open_control(other)))[1] != seen[0][1]


async def test_a_killed_gateway_remembers_all_it_acknowledged(
    start_gateway, open_control, tmp_path
):
    gateway = start_gateway(tmp_path / "state")
    fills, _, positions = await day(gateway, await open_control(gateway))
    gateway.kill()
    again = start_gateway(tmp_path / "state")
    assert "2022-12-29 15:00:00 UTC" in again.line
    async with connected(again) as ib:
        assert {p.contract.symbol: p.position for p in ib.positions()} == positions
        assert fills_of(ib) == fills
        again = await ib.reqExecutionsAsync(ExecutionFilter(symbol="KO"))
        assert [fill.execution.orderRef for fill in again] == ["d.0.1"]
        (open_trade,) = await ib.reqAllOpenOrdersAsync()
        assert open_trade.order.orderRef == "d.2.1"
        assert open_trade.orderStatus.status == "Submitted"
        completed = await ib.reqCompletedOrdersAsync(False)
        assert len(completed) == 7
        fresh = ib.client.getReqId()
        assert fresh > open_trade.order.orderId
        trade = ib.placeOrder(open_trade.contract, MarketOrder("SELL", 40))
        await until(trade.isDone)
        assert trade.orderStatus.status == "Filled"
        ib.cancelOrder(open_trade.order)
        await until(lambda: open_trade.orderStatus.status == "Cancelled")
        assert await ib.reqAllOpenOrdersAsync() == []


async def test_cash_is_the_fills_and_commissions_to_the_cent(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state", "--cash", "50000")
    fills, _, _ = await day(gateway, await open_control(gateway))
    async with connected(gateway, 9) as ib:
        spent = sum(Decimal(str(f[2])) * Decimal(str(f[3])) + Decimal(str(f[5])) for f in fills)
        values = {v.tag: v.value for v in ib.accountValues() if v.currency == "USD"}
        assert Decimal(values["TotalCashValue"]) == Decimal("50000.00") - spent


@pytest.mark.parametrize("version", ["157", "176"])
async def test_older_server_versions_trade_as_well(start_gateway, open_control, tmp_path, version):
    gateway = start_gateway(tmp_path / "state", "--server-version", version)
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    fills, _, _ = await day(gateway, await open_control(gateway))
    assert len(fills) >= 7
