"""Every request id of the protocol over a socket: each is answered, or has no answer by design."""

import socket
import struct
import time
from collections import Counter

import pytest

from gateway.codec.fields import default_fields, write_fields
from gateway.codec.framing import FrameReader
from gateway.codec.messages import text_of
from gateway.codec.requests import REQUESTS

pytestmark = pytest.mark.journey

# What one sound message of each kind holds; every other field is empty.
HOLDS = {
    **{"version": "1", "reqId": "5", "orderId": "9001", "symbol": "KO", "secType": "STK"},
    **{"exchange": "SMART", "currency": "USD", "action": "BUY", "totalQuantity": "10"},
    **{"orderType": "LMT", "lmtPrice": "1", "tif": "DAY", "transmit": "1", "subscribe": "1"},
    **{"whatToShow": "TRADES", "barSize": "1 day", "useRTH": "1"},
    **{"formatDate": "1", "numRows": "5", "period": "3 days", "pattern": "K", "groupId": "1"},
    **{"marketRuleId": "26", "marketDataType": "1", "tickType": "Last", "group": "All"},
    **{"tags": "NetLiquidation", "end": "20221228 16:00:00", "faDataType": "1"},
    "bboExchange": "a6",
}
SPECIAL = {
    "reqHistoricalData": {"duration": "5 D"},
    "reqRealTimeBars": {"barSize": "5"},
    "reqHistoricalTicks": {"count": "10"},
    "exerciseOptions": {"action": "1"},
    "reqAccountUpdates": {"subscribe": "1"},
    "reqPnLSingle": {"conId": "700000010"},
    "cancelRealTimeBars": {"reqId": "77"},
    "cancelTickByTickData": {"reqId": "77"},
}
# The messages (or "error CODE") that end the wait of whoever asks.
ANSWERS = {
    "reqMktData": "81", "cancelMktData": "error 300", "placeOrder": "5",
    "cancelOrder": "error 202", "reqOpenOrders": "53", "reqAccountUpdates": "54",
    "reqExecutions": "55", "reqIds": "9", "reqContractDetails": "52", "reqMktDepth": "13",
    "cancelMktDepth": "error 310", "reqNewsBulletins": "error 10276",
    "reqAutoOpenOrders": "error 327", "reqAllOpenOrders": "53", "reqManagedAccts": "15",
    "requestFA": "error 321", "replaceFA": "error 321", "reqHistoricalData": "17",
    "exerciseOptions": "error 200", "reqScannerSubscription": "error 162",
    "reqScannerParameters": "19", "cancelHistoricalData": "error 366", "reqCurrentTime": "49",
    "cancelRealTimeBars": "error 300", "reqFundamentalData": "error 430",
    "calculateImpliedVolatility": "error 200", "calculateOptionPrice": "error 200",
    "reqPositions": "62", "reqAccountSummary": "64", "verifyRequest": "error 508",
    "verifyMessage": "error 508", "queryDisplayGroups": "67", "subscribeToGroupEvents": "68",
    "startApi": "error 501", "verifyAndAuthRequest": "error 508",
    "verifyAndAuthMessage": "error 508", "reqPositionsMulti": "72",
    "reqAccountUpdatesMulti": "74", "reqSecDefOptParams": "76", "reqSoftDollarTiers": "77",
    "reqFamilyCodes": "78", "reqMatchingSymbols": "79", "reqMktDepthExchanges": "80",
    "reqSmartComponents": "82", "reqNewsArticle": "error 10276", "reqNewsProviders": "85",
    "reqHistoricalNews": "error 10276", "reqHeadTimestamp": "88", "reqHistogramData": "89",
    "reqMarketRule": "93", "reqPnL": "94", "reqPnLSingle": "95", "reqHistoricalTicks": "98",
    "cancelTickByTickData": "error 300", "reqCompletedOrders": "102",
    "reqWshMetaData": "error 10276", "reqWshEventData": "error 10276", "reqUserInfo": "107",
}  # fmt: skip
# Streams whose first message comes with the next tick, and words that have no answer.
STREAMS = {"reqRealTimeBars": "50", "reqTickByTickData": "99"}
NO_ANSWER = {
    *("cancelNewsBulletins", "setServerLogLevel", "cancelScannerSubscription", "reqGlobalCancel"),
    *("cancelFundamentalData", "cancelCalculateImpliedVolatility", "cancelCalculateOptionPrice"),
    *("reqMarketDataType", "cancelAccountSummary", "cancelPositions", "updateDisplayGroup"),
    *("unsubscribeFromGroupEvents", "cancelPositionsMulti", "cancelAccountUpdatesMulti"),
    *("cancelHistogramData", "cancelHeadTimestamp", "cancelPnL", "cancelPnLSingle"),
    *("cancelWshMetaData", "cancelWshEventData"),
}


def framed(payload):
    return struct.pack(">I", len(payload)) + payload


class Wire:
    """A client that speaks bytes, and counts what it hears: message ids, and errors by code."""

    def __init__(self, port, version, client_id):
        self.version = version
        self.link = socket.create_connection(("127.0.0.1", port), 10)
        self.link.sendall(b"API\0" + framed(f"v157..{version}".encode()))
        self.link.recv(100)
        self.frames, self.heard = FrameReader(), Counter()
        self.ask([71, 2, client_id, ""])

    def listen(self, seconds):
        self.link.settimeout(seconds)
        try:
            data = self.link.recv(1 << 20)
        except TimeoutError:
            return
        assert data, "the gateway has closed the connection"
        for payload in self.frames.feed(data):
            fields = payload.decode().split("\0")
            self.heard[f"error {fields[3]}" if fields[0] == "4" else fields[0]] += 1

    def ask(self, fields):
        """Send a message and one behind it; return what was heard until that was answered."""
        self.heard.clear()
        asked = "\0".join([*map(text_of, fields), ""]).encode()
        self.link.sendall(framed(asked) + framed(b"49\x001\0"))
        until = time.monotonic() + 60
        while not self.heard["49"] and time.monotonic() < until:
            self.listen(60)
        return self.heard

    def wait(self, wanted, seconds=10):
        until = time.monotonic() + seconds
        while not self.heard[wanted] and time.monotonic() < until:
            self.listen(0.5)
        return self.heard[wanted] > 0


def message(request, version, **fields):
    given = HOLDS | SPECIAL.get(request.name, {}) | fields
    values = default_fields(request.fields, given, version)
    return [request.id, *write_fields(request.fields, values, version)]


def test_the_table_names_every_request():
    names = {request.name for request in REQUESTS.values()}
    assert {*ANSWERS, *STREAMS, *NO_ANSWER} == names
    assert len(ANSWERS) + len(STREAMS) + len(NO_ANSWER) == len(names)


@pytest.mark.parametrize("version", [157, 163, 176, 178])
async def test_nobody_waits_for_ever(free_gateway, open_control, version):
    control = await open_control(free_gateway)
    moment = "2022-12-29T15:00:00+00:00"
    if (await control.ask("time"))["now"] < moment:
        await control.ask("advance", to=moment)
    wire = Wire(free_gateway.port, version, 500 + version)
    for request in REQUESTS.values():
        if request.name == "startApi":
            continue
        heard = wire.ask(message(request, version))
        wanted = ANSWERS.get(request.name)
        if wanted is not None:
            assert heard[wanted] or wire.wait(wanted), (request.name, heard)
        elif request.name in NO_ANSWER:
            assert not [kind for kind in heard if kind.startswith("error")], request.name
        elif request.name in STREAMS:
            assert not [kind for kind in heard if kind.startswith("error")], request.name
        for cancel in ("cancelMktData", "cancelMktDepth", "cancelHistoricalData", "cancelPnL"):
            known = next(r for r in REQUESTS.values() if r.name == cancel)
            wire.ask(message(known, version))
    start = next(r for r in REQUESTS.values() if r.name == "startApi")
    wire.link.sendall(
        framed("\0".join(map(text_of, [start.id, 2, 500 + version, "", ""])).encode())
    )
    assert wire.wait("error 501")


def test_ids_of_no_request_are_answered(free_gateway):
    wire = Wire(free_gateway.port, 178, 499)
    for number in (0, 26, 48, 60, 105, 106, 200, 2**31):
        assert wire.ask([number, 1])["error 320"] == 1
    wire.link.close()
