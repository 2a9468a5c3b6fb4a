"""Certification GW-7xx: Interactive Brokers' own Python client (ibapi 9.81, server version 157)."""

import json
import os
import threading
import time
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from ib_insync import IB as InsyncIB
from ib_insync import LimitOrder as InsyncLimit
from ib_insync import Stock as InsyncStock
from ibapi.account_summary_tags import AccountSummaryTags
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.order_condition import PriceCondition
from ibapi.tag_value import TagValue
from ibapi.wrapper import EWrapper

from gateway.codec.framing import FrameReader, tokens_of
from gateway.codec.requests import read_request

pytestmark = pytest.mark.journey
GOLDEN = Path(__file__).with_name("golden_messages.json")
WRITE = bool(os.environ.get("ROBO_WRITE_GOLDEN"))  # record anew what the clients encode
ids = count(700)


class App(EWrapper, EClient):
    """ibapi's client, keeping what its callbacks are called with."""

    def __init__(self):
        EClient.__init__(self, self)
        self.calls = []

    def of(self, name):
        return [call[1:] for call in list(self.calls) if call[0] == name]

    def until(self, name, count=1, seconds=10.0):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(self.of(name)) >= count:
                return self.of(name)
            time.sleep(0.01)
        raise AssertionError(f"{name} did not come; came: {[call[0] for call in self.calls]}")


def _noted(name):
    def callback(self, *arguments, **named):
        self.calls.append((name, *arguments, *named.values()))

    return callback


for callback_name in vars(EWrapper):
    if not callback_name.startswith("_") and callback_name != "logAnswer":
        setattr(App, callback_name, _noted(callback_name))


def stock(symbol="KO", **fields):
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange = symbol, "STK", "SMART"
    contract.currency = "USD"
    for name, value in fields.items():
        setattr(contract, name, value)
    return contract


def order(kind="LMT", quantity=1, limit=1.0, action="BUY", **fields):
    placed = Order()
    placed.action, placed.orderType, placed.totalQuantity = action, kind, quantity
    if kind == "LMT":
        placed.lmtPrice = limit
    placed.eTradeOnly = placed.firmQuoteOnly = False
    for name, value in fields.items():
        setattr(placed, name, value)
    return placed


@pytest.fixture
def app(simulated):
    app = App()
    app.connect("127.0.0.1", simulated.port, next(ids))
    thread = threading.Thread(target=app.run, daemon=True)
    thread.start()
    app.until("nextValidId")
    yield app
    app.disconnect()
    thread.join(5)
    time.sleep(0.05)


def test_gw701_ibapi_connects_at_157(app):
    """Handshake, accounts, the next order id and the farm notices."""
    assert app.serverVersion() == 157
    assert app.until("managedAccounts")[0][0].startswith("SIM")
    assert {2104, 2106, 2158} <= {call[1] for call in app.until("error", 3)}


def test_gw702_ibapi_reads_details_and_symbols(app):
    """Contract details by symbol and by conId, matching symbols, the market rule."""
    app.reqContractDetails(1, stock())
    app.until("contractDetailsEnd")
    ((_, details),) = app.of("contractDetails")
    assert (details.contract.symbol, details.contract.primaryExchange) == ("KO", "NYSE")
    app.reqContractDetails(2, stock("", secType="", conId=details.contract.conId))
    app.until("contractDetailsEnd", 2)
    assert app.of("contractDetails")[1][1].contract.symbol == "KO"
    app.reqMatchingSymbols(3, "KO")
    assert app.until("symbolSamples")
    app.reqMarketRule(int(details.marketRuleIds.split(",")[0]))
    assert app.until("marketRule")


def test_gw703_ibapi_reads_history(app):
    """Daily bars and their end; the head timestamp."""
    app.reqHistoricalData(1, stock(), "", "5 D", "1 day", "TRADES", 1, 1, False, [])
    app.until("historicalDataEnd")
    assert len(app.of("historicalData")) == 5
    app.reqHeadTimeStamp(2, stock(), "TRADES", 1, 1)
    assert app.until("headTimestamp")


def test_gw704_ibapi_reads_quotes(app, simulated):
    """Top of book, streaming and as a snapshot."""
    app.reqMktData(1, stock(), "", False, False, [])
    app.until("tickPrice", 2)
    app.until("tickSize", 2)
    app.cancelMktData(1)
    app.reqMktData(2, stock(), "", True, False, [])
    app.until("tickSnapshotEnd")


def test_gw705_ibapi_places_changes_and_cancels(app):
    """A resting limit through its life."""
    order_id = app.until("nextValidId")[-1][0]
    app.placeOrder(order_id, stock(), order(orderRef="gw705"))
    app.until("openOrder")
    assert app.until("orderStatus")[0][1] in {"Submitted", "PreSubmitted"}
    app.placeOrder(order_id, stock(), order(limit=1.05))
    app.until("openOrder", 2)
    app.cancelOrder(order_id)
    app.until("orderStatus", 3)
    assert app.of("orderStatus")[-1][1] == "Cancelled"
    assert 202 in {call[1] for call in app.of("error")}


def test_gw706_ibapi_trades_and_reads_what_it_paid(app, simulated):
    """A market order's execution, its commission, the position; then reqExecutions."""
    app.reqIds(1)
    order_id = app.until("nextValidId", 2)[-1][0]
    app.placeOrder(order_id, stock("PFE"), order("MKT", 5))
    executed = app.until("execDetails")[0][2]
    assert (executed.side, float(executed.shares)) == ("BOT", 5.0)
    simulated.ask("advance", to=(simulated.now() + timedelta(seconds=2)).isoformat())
    assert app.until("commissionReport")[0][0].commission > 0
    app.reqPositions()
    app.until("positionEnd")
    assert "PFE" in {call[1].symbol for call in app.of("position")}
    wanted = ExecutionFilter()
    wanted.symbol = "PFE"
    app.reqExecutions(9, wanted)
    app.until("execDetailsEnd")


def test_gw707_ibapi_reads_the_account(app):
    """Account updates, summary, profit."""
    account = app.until("managedAccounts")[0][0]
    app.reqAccountUpdates(True, account)
    app.until("accountDownloadEnd")
    assert "NetLiquidation" in {call[0] for call in app.of("updateAccountValue")}
    app.reqAccountSummary(5, "All", "NetLiquidation,BuyingPower")
    app.until("accountSummaryEnd")
    assert {call[2] for call in app.of("accountSummary")} == {"NetLiquidation", "BuyingPower"}


def test_gw710_ibapi_gets_every_summary_tag_that_it_names(app):
    """The account summary of AccountSummaryTags.AllTags has a value for each of them."""
    app.reqAccountSummary(6, "All", AccountSummaryTags.AllTags)
    app.until("accountSummaryEnd")
    told = {call[2]: call[3] for call in app.of("accountSummary")}
    assert set(told) == set(AccountSummaryTags.AllTags.split(","))
    assert all(told.values())


def test_gw708_ibapi_is_told_of_unknown_contracts(app):
    """200 for a contract that is none."""
    app.reqContractDetails(1, stock("NOSUCH"))
    app.until("error", 4)
    assert 200 in {call[1] for call in app.of("error")}


def rich(placed):
    placed.algoStrategy = "Twap"
    placed.algoParams = [TagValue("strategyType", "Marketable")]
    placed.tif, placed.orderRef, placed.outsideRth = "GTC", "golden", True
    return placed


def conditional():
    placed = order()
    condition = PriceCondition(0, 265598, "SMART", True, 120.5)
    placed.conditions = [condition]
    return placed


def ibapi_messages():
    """Encode with ibapi; return each message as fields."""
    app, sent = EClient(EWrapper()), []
    app.conn = SimpleNamespace(
        sendMsg=sent.append, isConnected=lambda: True, disconnect=lambda: None
    )
    app.serverVersion_, app.connState = 157, EClient.CONNECTED
    calls = {
        "placeOrder limit": lambda: app.placeOrder(7, stock(), order()),
        "placeOrder market": lambda: app.placeOrder(7, stock(), order("MKT")),
        "placeOrder algo": lambda: app.placeOrder(7, stock(), rich(order())),
        "placeOrder condition": lambda: app.placeOrder(7, stock(), conditional()),
        "cancelOrder": lambda: app.cancelOrder(7),
        "reqMktData": lambda: app.reqMktData(5, stock(), "233", False, False, []),
        "reqHistoricalData": lambda: app.reqHistoricalData(
            5, stock(), "", "1 D", "1 day", "TRADES", 1, 1, False, []
        ),
        "reqContractDetails": lambda: app.reqContractDetails(5, stock()),
        "reqMktDepth": lambda: app.reqMktDepth(5, stock(), 5, False, []),
        "reqTickByTickData": lambda: app.reqTickByTickData(5, stock(), "Last", 0, False),
        "reqRealTimeBars": lambda: app.reqRealTimeBars(5, stock(), 5, "TRADES", True, []),
        "reqExecutions": lambda: app.reqExecutions(5, ExecutionFilter()),
        "reqAccountSummary": lambda: app.reqAccountSummary(5, "All", "NetLiquidation"),
        "reqPnL": lambda: app.reqPnL(5, "SIM0000001", ""),
    }
    return {f"ibapi 157 {name}": _fields(call, sent) for name, call in calls.items()}


def insync_messages():
    """Encode with ib_insync; return each message as fields."""
    ib, sent = InsyncIB(), []
    ib.client._serverVersion = 176
    ib.client.isConnected = lambda: True
    ib.client.sendMsg = lambda text: sent.append(len(text).to_bytes(4, "big") + text.encode())
    coke = InsyncStock("KO", "SMART", "USD")
    calls = {
        "placeOrder": lambda: ib.client.placeOrder(7, coke, InsyncLimit("BUY", 1, 1.0)),
        "reqMktData": lambda: ib.client.reqMktData(5, coke, "", False, False, []),
        "reqContractDetails": lambda: ib.client.reqContractDetails(5, coke),
        "reqHistoricalData": lambda: ib.client.reqHistoricalData(
            5, coke, "", "1 D", "1 day", "TRADES", True, 1, False, []
        ),
    }
    encoded = {f"ib_insync 176 {name}": _fields(call, sent) for name, call in calls.items()}
    del ib.client.isConnected
    return encoded


def _fields(call, sent):
    sent.clear()
    call()
    (payload,) = FrameReader().feed(b"".join(sent))
    return tokens_of(payload)


def test_gw709_golden_messages_are_what_the_clients_encode_and_are_read_whole():
    """What ibapi and ib_insync encode is as recorded, and no field of it is left over."""
    encoded = {**ibapi_messages(), **insync_messages()}
    if WRITE:
        GOLDEN.write_text(json.dumps(encoded, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert encoded == golden
    for name, fields in golden.items():
        request, _ = read_request(fields, int(name.split()[1]))
        assert request.name == name.split()[2]
