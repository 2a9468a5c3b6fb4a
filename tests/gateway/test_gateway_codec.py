"""What ib_async encodes is read whole, and what the gateway writes ib_async reads."""

import logging

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Order, Stock, TagValue
from ib_async.contract import ComboLeg, Contract, DeltaNeutralContract
from ib_async.objects import ExecutionFilter, ScannerSubscription, WshEventData
from ib_async.order import OrderComboLeg, PercentChangeCondition, PriceCondition, TimeCondition

from gateway.codec.fields import CodecError
from gateway.codec.framing import FrameError, FrameReader, frame, tokens_of
from gateway.codec.messages import (
    Out,
    depth_l2,
    depth_row,
    message,
    tick_price,
    tick_quote,
    tick_size,
    tick_string,
    tick_trade,
)
from gateway.codec.requests import REQUESTS, read_request
from gateway.engine.orders import FILLED, SUBMITTED
from gateway.engine.orders import Order as EngineOrder
from gateway.session.order_echo import completed_order, open_order

TICKS = [  # the messages with a format of their own, and how they are written field by field
    (tick_price(7, 1, "127.18", 200, 1), (Out.TICK_PRICE, 6, 7, 1, "127.18", 200, 1)),
    (tick_size(7, 8, 123456), (Out.TICK_SIZE, 6, 7, 8, 123456)),
    (tick_string(7, 45, "1672324500"), (Out.TICK_STRING, 6, 7, 45, "1672324500")),
    (
        tick_trade(7, 2, 1672324500, "9.01", 30),
        (Out.TICK_BY_TICK, 7, 2, 1672324500, "9.01", 30, 0, "NASDAQ", ""),
    ),
    (
        tick_quote(7, 1672324500, ("9.01", "9.02"), (100, 300)),
        (Out.TICK_BY_TICK, 7, 3, 1672324500, "9.01", "9.02", 100, 300, 0),
    ),
    (depth_row(7, 2, (1, 0, "9.01", 300)), (Out.MARKET_DEPTH, 1, 7, 2, 1, 0, "9.01", 300)),
    (
        depth_l2(7, 2, "NSDQ", (1, 0, "9.01", 300), True),
        (Out.MARKET_DEPTH_L2, 1, 7, 2, "NSDQ", 1, 0, "9.01", 300, True),
    ),
]
VERSIONS = (157, 163, 164, 176, 177, 178)
APPLE = Stock("AAPL", "SMART", "USD")


class Tap:
    """ib_async's own client, whose frames are caught instead of sent."""

    def __init__(self, version):
        self.ib = IB()
        self.ib.disconnect = lambda: None  # it was never connected
        self.client = self.ib.client
        self.client.connState = self.client.CONNECTED
        self.client._serverVersion = version
        self.client.MaxRequests = 0
        self.client.conn.sendMsg = self._catch
        self.version = version
        self._reader = FrameReader()
        self.sent = []

    def _catch(self, data):
        self.sent += [tokens_of(payload) for payload in self._reader.feed(data)]

    def read(self, call):
        self.sent.clear()
        call(self.client)
        assert len(self.sent) == 1
        return read_request(self.sent[0], self.version)


ASKED = {
    "reqMktData": lambda c: c.reqMktData(5, APPLE, "233,236", False, False, []),
    "cancelMktData": lambda c: c.cancelMktData(5),
    "cancelOrder": lambda c: c.cancelOrder(7),
    "reqOpenOrders": lambda c: c.reqOpenOrders(),
    "reqAccountUpdates": lambda c: c.reqAccountUpdates(True, "SIM0000001"),
    "reqExecutions": lambda c: c.reqExecutions(5, ExecutionFilter(symbol="AAPL")),
    "reqIds": lambda c: c.reqIds(1),
    "reqContractDetails": lambda c: c.reqContractDetails(5, APPLE),
    "reqMktDepth": lambda c: c.reqMktDepth(5, APPLE, 5, True, []),
    "cancelMktDepth": lambda c: c.cancelMktDepth(5, True),
    "reqNewsBulletins": lambda c: c.reqNewsBulletins(True),
    "cancelNewsBulletins": lambda c: c.cancelNewsBulletins(),
    "setServerLogLevel": lambda c: c.setServerLogLevel(2),
    "reqAutoOpenOrders": lambda c: c.reqAutoOpenOrders(True),
    "reqAllOpenOrders": lambda c: c.reqAllOpenOrders(),
    "reqManagedAccts": lambda c: c.reqManagedAccts(),
    "requestFA": lambda c: c.requestFA(1),
    "replaceFA": lambda c: c.replaceFA(5, 1, "<x/>"),
    "reqHistoricalData": lambda c: c.reqHistoricalData(
        5, APPLE, "", "33 Y", "1 day", "TRADES", True, 1, False, []
    ),
    "exerciseOptions": lambda c: c.exerciseOptions(5, APPLE, 1, 1, "", 0),
    "reqScannerSubscription": lambda c: c.reqScannerSubscription(5, ScannerSubscription(), [], []),
    "cancelScannerSubscription": lambda c: c.cancelScannerSubscription(5),
    "reqScannerParameters": lambda c: c.reqScannerParameters(),
    "cancelHistoricalData": lambda c: c.cancelHistoricalData(5),
    "reqCurrentTime": lambda c: c.reqCurrentTime(),
    "reqRealTimeBars": lambda c: c.reqRealTimeBars(5, APPLE, 5, "TRADES", True, []),
    "cancelRealTimeBars": lambda c: c.cancelRealTimeBars(5),
    "reqFundamentalData": lambda c: c.reqFundamentalData(5, APPLE, "ReportSnapshot", []),
    "cancelFundamentalData": lambda c: c.cancelFundamentalData(5),
    "calculateImpliedVolatility": lambda c: c.calculateImpliedVolatility(5, APPLE, 1.5, 100.0, []),
    "calculateOptionPrice": lambda c: c.calculateOptionPrice(5, APPLE, 0.2, 100.0, []),
    "cancelCalculateImpliedVolatility": lambda c: c.cancelCalculateImpliedVolatility(5),
    "cancelCalculateOptionPrice": lambda c: c.cancelCalculateOptionPrice(5),
    "reqGlobalCancel": lambda c: c.reqGlobalCancel(),
    "reqMarketDataType": lambda c: c.reqMarketDataType(3),
    "reqPositions": lambda c: c.reqPositions(),
    "reqAccountSummary": lambda c: c.reqAccountSummary(5, "All", "NetLiquidation"),
    "cancelAccountSummary": lambda c: c.cancelAccountSummary(5),
    "cancelPositions": lambda c: c.cancelPositions(),
    "verifyRequest": lambda c: c.verifyRequest("a", "b"),
    "verifyMessage": lambda c: c.verifyMessage("a"),
    "queryDisplayGroups": lambda c: c.queryDisplayGroups(5),
    "subscribeToGroupEvents": lambda c: c.subscribeToGroupEvents(5, 1),
    "updateDisplayGroup": lambda c: c.updateDisplayGroup(5, "1@SMART"),
    "unsubscribeFromGroupEvents": lambda c: c.unsubscribeFromGroupEvents(5),
    "startApi": lambda c: c.startApi(),
    "verifyAndAuthRequest": lambda c: c.verifyAndAuthRequest("a", "b", "c"),
    "verifyAndAuthMessage": lambda c: c.verifyAndAuthMessage("a", "b"),
    "reqPositionsMulti": lambda c: c.reqPositionsMulti(5, "SIM0000001", ""),
    "cancelPositionsMulti": lambda c: c.cancelPositionsMulti(5),
    "reqAccountUpdatesMulti": lambda c: c.reqAccountUpdatesMulti(5, "SIM0000001", "", False),
    "cancelAccountUpdatesMulti": lambda c: c.cancelAccountUpdatesMulti(5),
    "reqSecDefOptParams": lambda c: c.reqSecDefOptParams(5, "AAPL", "", "STK", 700000001),
    "reqSoftDollarTiers": lambda c: c.reqSoftDollarTiers(5),
    "reqFamilyCodes": lambda c: c.reqFamilyCodes(),
    "reqMatchingSymbols": lambda c: c.reqMatchingSymbols(5, "AA"),
    "reqMktDepthExchanges": lambda c: c.reqMktDepthExchanges(),
    "reqSmartComponents": lambda c: c.reqSmartComponents(5, "a6"),
    "reqNewsArticle": lambda c: c.reqNewsArticle(5, "BRFG", "1", []),
    "reqNewsProviders": lambda c: c.reqNewsProviders(),
    "reqHistoricalNews": lambda c: c.reqHistoricalNews(5, 1, "BRFG", "", "", 10, []),
    "reqHeadTimestamp": lambda c: c.reqHeadTimeStamp(5, APPLE, "TRADES", True, 1),
    "reqHistogramData": lambda c: c.reqHistogramData(5, APPLE, True, "3 days"),
    "cancelHistogramData": lambda c: c.cancelHistogramData(5),
    "cancelHeadTimestamp": lambda c: c.cancelHeadTimeStamp(5),
    "reqMarketRule": lambda c: c.reqMarketRule(26),
    "reqPnL": lambda c: c.reqPnL(5, "SIM0000001", ""),
    "cancelPnL": lambda c: c.cancelPnL(5),
    "reqPnLSingle": lambda c: c.reqPnLSingle(5, "SIM0000001", "", 700000001),
    "cancelPnLSingle": lambda c: c.cancelPnLSingle(5),
    "reqHistoricalTicks": lambda c: c.reqHistoricalTicks(
        5, APPLE, "", "20221228 16:00:00", 100, "TRADES", True, False, []
    ),
    "reqTickByTickData": lambda c: c.reqTickByTickData(5, APPLE, "Last", 0, False),
    "cancelTickByTickData": lambda c: c.cancelTickByTickData(5),
    "reqCompletedOrders": lambda c: c.reqCompletedOrders(False),
    "reqWshMetaData": lambda c: c.reqWshMetaData(5),
    "cancelWshMetaData": lambda c: c.cancelWshMetaData(5),
    "reqWshEventData": lambda c: c.reqWshEventData(5, WshEventData(conId=1)),
    "cancelWshEventData": lambda c: c.cancelWshEventData(5),
    "reqUserInfo": lambda c: c.reqUserInfo(5),
    "placeOrder": lambda c: c.placeOrder(7, APPLE, LimitOrder("BUY", 100, 1.5)),
}


def test_every_request_of_the_protocol_is_exercised():
    assert set(ASKED) == {request.name for request in REQUESTS.values()}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_request_that_ib_async_encodes_is_read_whole(version):
    tap = Tap(version)
    for name, call in ASKED.items():
        request, values = tap.read(call)
        assert request.name == name
        assert values.get("reqId", 5) == 5


def _rich_order():
    order = LimitOrder("SELL", 250, 131.25, tif="GTC", orderRef="p.1.1", account="SIM0000001")
    order.algoStrategy = "Twap"
    order.algoParams = [TagValue("strategyType", "Marketable"), TagValue("startTime", "")]
    order.conditions = [
        PriceCondition(price=120.5, conId=700000001, exch="SMART"),
        TimeCondition(time="20221229 10:00:00 US/Eastern"),
        PercentChangeCondition(changePercent=1.5, conId=1, exch="SMART"),
    ]
    order.conditionsIgnoreRth = True
    return order


def _odd_orders():
    bag = Contract(secType="BAG", symbol="AAPL", exchange="SMART", currency="USD")
    bag.comboLegs = [ComboLeg(conId=1, ratio=1, action="BUY", exchange="SMART")] * 2
    combo = Order(action="BUY", totalQuantity=1, orderType="LMT", lmtPrice=1.0)
    combo.orderComboLegs = [OrderComboLeg(price=1.0)]
    combo.smartComboRoutingParams = [TagValue("NonGuaranteed", "1")]
    yield bag, combo
    neutral = Stock("AAPL", "SMART", "USD")
    neutral.deltaNeutralContract = DeltaNeutralContract(1, 0.5, 100.0)
    yield (
        neutral,
        Order(action="BUY", totalQuantity=1, orderType="VOL", deltaNeutralOrderType="LMT"),
    )
    scale = Order(action="BUY", totalQuantity=1, orderType="LMT", lmtPrice=1.0)
    scale.scalePriceIncrement, scale.hedgeType, scale.hedgeParam = 0.5, "B", "1"
    yield APPLE, scale
    for kind in ("PEG BENCH", "PEG BEST", "PEG MID"):
        pegged = Order(action="BUY", totalQuantity=1, orderType=kind)
        if kind == "PEG BEST":
            pegged.competeAgainstBestOffset = float("inf")
        yield APPLE, pegged
    yield Stock("AAPL", "IBKRATS", "USD"), Order(action="BUY", totalQuantity=1, orderType="LMT")


@pytest.mark.parametrize("version", VERSIONS)
def test_rich_and_odd_orders_are_read_whole(version):
    tap = Tap(version)
    for contract, order in [(APPLE, _rich_order()), *_odd_orders()]:
        _, values = tap.read(lambda c, k=contract, o=order: c.placeOrder(9, k, o))
        assert values["orderId"] == 9
        assert values["action"] == order.action
    _, values = tap.read(lambda c: c.placeOrder(9, APPLE, _rich_order()))
    assert str(values["lmtPrice"]) == "131.25"
    assert values["algoParams"][0] == {"tag": "strategyType", "value": "Marketable"}
    assert values["conditionCount"] == 3
    assert values["condition2Changepercent"] == "1.5"
    assert values["orderRef"] == "p.1.1"


def test_a_plain_stock_limit_has_114_fields_at_178():
    tap = Tap(178)
    tap.read(ASKED["placeOrder"])
    assert len(tap.sent[0]) == 114


@pytest.mark.parametrize("drop", [1, 2, 40])
def test_missing_fields_are_named(drop):
    tap = Tap(178)
    tap.read(ASKED["placeOrder"])
    with pytest.raises(CodecError, match="is missing") as raised:
        read_request(tap.sent[0][:-drop], 178)
    assert raised.value.values["orderId"] == 7


def test_leftover_fields_and_nonsense_are_named():
    with pytest.raises(CodecError, match="1 fields are left over"):
        read_request(["49", "1", "extra"], 178)
    with pytest.raises(CodecError, match="'reqId': cannot be read from 'x'"):
        read_request(["2", "2", "x"], 178)
    with pytest.raises(CodecError, match="9999 is unknown"):
        read_request(["9999"], 178)
    with pytest.raises(CodecError, match="message id"):
        read_request(["?"], 178)


def _engine_order(version, order, **state):
    _, request = Tap(version).read(lambda c: c.placeOrder(9, APPLE, order))
    limit = None if request["lmtPrice"] is None else int(request["lmtPrice"] * 100)
    return EngineOrder(3, 9, 15, 0, False, 250, order.orderType, limit, "GTC", request, 0, **state)


@pytest.mark.parametrize("version", VERSIONS)
def test_ib_async_reads_back_the_orders_that_we_tell(version, caplog):
    tap = Tap(version)
    tap.ib.wrapper.clientId = 3
    tap.client.decoder.serverVersion = version
    caplog.set_level(logging.ERROR)
    for order in (_rich_order(), MarketOrder("SELL", 250)):
        told = _engine_order(version, order, status=SUBMITTED)
        tap.client.decoder.interpret(tokens_of(open_order(told, version)[4:]))
        trade = tap.ib.wrapper.trades.pop((3, 9))
        assert trade.orderStatus.status == SUBMITTED
        assert (trade.order.action, trade.order.totalQuantity) == ("SELL", 250)
        assert trade.contract.conId == 700000001
        assert len(trade.order.conditions) == len(order.conditions)
        assert trade.order.algoParams == order.algoParams
        tap.ib.wrapper._results["completedOrders"] = []
        done = _engine_order(version, order, status=FILLED, filled=250, done_at=10**15)
        tap.client.decoder.interpret(tokens_of(completed_order(done, version)[4:]))
        (ended,) = tap.ib.wrapper._results["completedOrders"]
        assert (ended.order.permId, ended.order.filledQuantity) == (15, 250)
        tap.ib.wrapper.permId2Trade.clear()
        tap.ib.wrapper.trades.clear()
    assert not caplog.records


def test_frames_are_cut_wherever_the_stream_breaks():
    stream = frame(b"49\x001\x00") + frame(b"") + frame(b"17\x001\x00")
    for cut in range(len(stream) + 1):
        reader = FrameReader()
        frames = reader.feed(stream[:cut]) + reader.feed(stream[cut:])
        assert frames == [b"49\x001\x00", b"", b"17\x001\x00"]


def test_oversized_frames_and_unended_messages_are_refused():
    with pytest.raises(FrameError, match="longer than"):
        FrameReader().feed(b"\xff\xff\xff\xff")
    with pytest.raises(FrameError, match="NUL"):
        tokens_of(b"49")


@pytest.mark.parametrize(("written", "fields"), TICKS)
def test_a_message_with_a_format_of_its_own_is_as_field_by_field(written, fields):
    assert written == message(*fields)


def test_a_long_frame_says_its_length():
    assert [FrameReader().feed(frame(bytes(size))) for size in (0, 255, 256, 70_000)] == [
        [bytes(size)] for size in (0, 255, 256, 70_000)
    ]
