"""Order types, groups, depth and the master client as the unmodified ib_async sees them."""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Order, Stock, StopOrder, TagValue

pytestmark = pytest.mark.journey
STEP = "--clock", "step"  # time passes as fast as it can be worked
ALGOS = ("Twap", "Vwap", "Adaptive", "ArrivalPx", "PctVol")


@asynccontextmanager
async def client(gateway, client_id=1):
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    ib = IB()
    ib.told = []
    ib.errorEvent += lambda request, code, text, contract: ib.told.append(code)
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=client_id, timeout=10)
    try:
        yield ib
    finally:
        ib.disconnect()


async def until(check, seconds=10):
    for _ in range(int(seconds / 0.01)):
        if check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


@pytest.fixture
async def market(start_gateway, open_control, tmp_path):
    """A gateway whose client 99 is the master, at 10:00 in New York."""
    gateway = start_gateway(tmp_path / "state", "--master-client-id", "99", *STEP)
    gateway.control = await open_control(gateway)
    await gateway.control.advance("15:00:00")
    return gateway


async def stock(ib, symbol="RRC"):
    (contract,) = await ib.qualifyContractsAsync(Stock(symbol, "SMART", "USD"))
    return contract


async def test_a_bracket_order_waits_and_one_side_cancels_the_other(market):
    async with client(market) as ib:
        contract = await stock(ib)
        orders = ib.bracketOrder("BUY", 100, 1.00, 1.50, 0.50)
        trades = [ib.placeOrder(contract, order) for order in orders]
        await until(lambda: all(t.orderStatus.status != "PendingSubmit" for t in trades))
        states = [t.orderStatus.status for t in trades]
        assert states == ["Submitted", "PreSubmitted", "PreSubmitted"]
        assert [t.orderStatus.parentId for t in trades[1:]] == [orders.parent.orderId] * 2
        await market.control.advance("15:05:00")
        assert [t.filled() for t in trades] == [0, 0, 0]
        async with client(market, 2) as other:
            echoed = {t.order.orderId: t.order for t in await other.reqAllOpenOrdersAsync()}
        assert {o.ocaGroup for o in echoed.values()} == {"", str(trades[0].order.permId)}
        orders.parent.lmtPrice = 99.00
        ib.placeOrder(contract, orders.parent)
        await until(trades[1].isDone)
        assert [t.orderStatus.status for t in trades] == ["Filled", "Filled", "Cancelled"]


async def test_every_order_type_is_taken_and_echoed(market):
    async with client(market) as ib:
        contract = await stock(ib)
        asked = {
            "STP": Order(orderType="STP", auxPrice=1.0),
            "STP LMT": Order(orderType="STP LMT", auxPrice=1.0, lmtPrice=0.9),
            "TRAIL": Order(orderType="TRAIL", trailingPercent=5, trailStopPrice=1.0),
            "TRAIL LIMIT": Order(
                orderType="TRAIL LIMIT", auxPrice=0.5, trailStopPrice=1.0, lmtPriceOffset=0.1
            ),
            "MOC": Order(orderType="MOC"),
            "LOC": Order(orderType="LOC", lmtPrice=99.0),
            "REL": Order(orderType="REL", lmtPrice=99.0, auxPrice=0.0),
            "PEG MID": Order(orderType="PEG MID", lmtPrice=99.0),
            "LIT": Order(orderType="LIT", auxPrice=999.0, lmtPrice=999.0),
            "MIT": Order(orderType="MIT", auxPrice=999.0),
        }
        trades = {}
        for kind, order in asked.items():
            order.action, order.totalQuantity = "SELL", 10
            trades[kind] = ib.placeOrder(contract, order)
        await until(lambda: all(t.orderStatus.permId for t in trades.values()))
        assert all(t.isActive() for t in trades.values()), ib.told
        async with client(market, 2) as other:
            echoed = {t.order.orderType: t.order for t in await other.reqAllOpenOrdersAsync()}
        assert set(echoed) == set(asked)
        assert echoed["TRAIL"].trailingPercent == 5
        assert echoed["TRAIL LIMIT"].trailStopPrice == 1.0
        assert echoed["STP LMT"].lmtPrice == 0.9
        ib.reqGlobalCancel()
        await until(lambda: all(t.isDone() for t in trades.values()))


async def test_algorithms_are_echoed_and_worked(market):
    async with client(market) as ib:
        contract = await stock(ib)
        trades = [worked(ib, contract, algo) for algo in ALGOS]
        await until(lambda: all(t.orderStatus.status == "Submitted" for t in trades))
        await market.control.advance("15:20:01")
        await until(lambda: all(t.isDone() for t in trades))
        assert {t.orderStatus.status for t in trades} == {"Filled"}
        assert [t.order.algoStrategy for t in trades] == list(ALGOS)


def worked(ib, contract, algo):
    order = LimitOrder("BUY", 500, 99.0)
    order.algoStrategy = algo
    order.algoParams = [TagValue("endTime", "10:20:00 US/Eastern")]
    if algo == "Adaptive":
        order.algoParams = [TagValue("adaptivePriority", "Normal")]
    return ib.placeOrder(contract, order)


async def test_depth_is_kept_and_shows_ones_own_order(market):
    async with client(market) as ib:
        contract = await stock(ib)
        ticker = ib.reqMktDepth(contract, numRows=10, isSmartDepth=True)
        quote = ib.reqMktData(contract)
        await until(lambda: len(ticker.domBids) == len(ticker.domAsks) == 10 and quote.bidSize > 0)
        for step in range(40):
            await market.control.advance(f"15:00:{step + 1:02d}")
        await asyncio.sleep(0.05)
        bids, asks = [r.price for r in ticker.domBids], [r.price for r in ticker.domAsks]
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert bids[0] < asks[0]
        assert (len(bids), len(asks)) == (10, 10)
        await until(lambda: quote.bid == bids[0])
        before = ticker.domBids[0].size
        trade = ib.placeOrder(contract, LimitOrder("BUY", 700, bids[0]))
        await until(lambda: ticker.domBids[0].size == before + 700)
        await until(lambda: quote.bidSize == before + 700)
        ib.cancelOrder(trade.order)
        await until(lambda: ticker.domBids[0].size == before)
        await market.control.advance("2022-12-30T14:31:00")
        assert 317 in ib.told
        ib.cancelMktDepth(contract, isSmartDepth=True)


async def test_depth_of_one_exchange_and_what_is_refused(market):
    async with client(market) as ib:
        contract = await stock(ib)
        contract.exchange = "NYSE"
        ticker = ib.reqMktDepth(contract, numRows=3)
        await until(lambda: len(ticker.domBids) == len(ticker.domAsks) == 3)
        unknown = Stock("NOPE", "SMART", "USD", conId=5)
        ib.reqMktDepth(unknown, numRows=3)
        await until(lambda: 200 in ib.told)


async def test_the_master_client_hears_of_every_order(market):
    async with client(market, 99) as master, client(market, 5) as ib:
        heard = {"status": [], "fill": [], "commission": []}
        master.orderStatusEvent += lambda trade: heard["status"].append(trade.order.clientId)
        master.execDetailsEvent += lambda trade, fill: heard["fill"].append(fill.execution.clientId)
        master.commissionReportEvent += lambda trade, fill, report: heard["commission"].append(
            fill.execution.clientId
        )
        trade = ib.placeOrder(await stock(ib), MarketOrder("BUY", 10))
        await until(trade.isDone)
        await market.control.advance("15:00:01")
        await until(lambda: heard["commission"])
        assert set(heard["fill"]) == {5}


async def test_client_zero_may_bind_and_others_may_not(market):
    async with client(market, 0) as zero, client(market, 3) as other:
        zero.reqAutoOpenOrders(True)
        other.reqAutoOpenOrders(True)
        await until(lambda: 327 in other.told)
        assert 327 not in zero.told


async def test_a_halt_by_the_control_socket(market):
    async with client(market) as ib:
        contract = await stock(ib)
        halted = await market.control.ask("halt", symbol="RRC")
        assert halted["halted"] == ["RRC"]
        trade = ib.placeOrder(contract, MarketOrder("BUY", 10))
        await until(lambda: trade.orderStatus.status == "PreSubmitted")
        await market.control.advance("15:10:00")
        assert trade.filled() == 0
        await market.control.ask("resume", symbol="RRC")
        await until(trade.isDone)
        assert trade.orderStatus.status == "Filled"
        assert not (await market.control.raw("halt", symbol="NOPE"))["ok"]


async def test_bad_orders_are_answered_with_their_codes(market):
    async with client(market) as ib:
        contract = await stock(ib)
        bad = [
            (110, contract, LimitOrder("BUY", 10, 10.005)),
            (110, contract, StopOrder("BUY", 10, 10.005)),
            (434, contract, MarketOrder("BUY", 0)),
            (321, contract, MarketOrder("BUY", -5)),
            (10243, contract, MarketOrder("BUY", 1.5)),
            (10244, contract, MarketOrder("BUY", 1, cashQty=500)),
            (200, Stock("NOPE", "SMART", "USD"), MarketOrder("BUY", 1)),
            (387, contract, Order(action="BUY", totalQuantity=1, orderType="VOL")),
            (10006, contract, LimitOrder("BUY", 10, 10.0, parentId=12_345)),
            (439, contract, LimitOrder("BUY", 10, 10.0, algoStrategy="Magic")),
        ]
        for code, where, order in bad:
            ib.told.clear()
            ib.placeOrder(where, order)
            await until(lambda code=code: code in ib.told)
        trade = ib.placeOrder(contract, MarketOrder("BUY", 10))
        await until(trade.isDone)
        ib.told.clear()
        ib.client.cancelOrder(trade.order.orderId, "")
        await until(lambda: 10148 in ib.told)
