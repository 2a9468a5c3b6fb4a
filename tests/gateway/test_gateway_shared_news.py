"""What several clients are told of one market and one account: the same, and only what changed."""

from collections import Counter

import pytest
from ib_async import IB, MarketOrder, Stock

from gateway.codec.framing import FrameReader

pytestmark = pytest.mark.journey


class Listener:
    """An ib_async client whose incoming messages are kept."""

    def __init__(self):
        self.ib = IB()
        self._reader = FrameReader()
        self.messages = []

    async def connect(self, gateway, client_id):
        self.ib.client.conn.hasData += self._hear
        await self.ib.connectAsync("127.0.0.1", gateway.port, clientId=client_id, timeout=20)
        return self

    def _hear(self, data):
        self.messages += [payload.split(b"\0") for payload in self._reader.feed(data)]

    async def heard(self):
        """Return, once, what has come by now."""
        await self.ib.reqCurrentTimeAsync()
        messages, self.messages = self.messages, []
        return messages


@pytest.fixture
async def pair(tmp_path, start_gateway, open_control):
    """A gateway in the session, its clock, and two clients of it."""
    gateway = start_gateway(tmp_path, "--clock", "step", "--no-pacing")
    control = await open_control(gateway)
    await control.advance("15:00:00")
    clients = [await Listener().connect(gateway, number) for number in (1, 2)]
    yield control, *clients
    for client in clients:
        client.ib.disconnect()


async def test_two_clients_see_one_market(pair):
    control, one, other = pair
    (apple,) = await one.ib.qualifyContractsAsync(Stock("AAPL", "SMART", "USD"))
    for client in (one, other):
        client.ib.reqMktData(apple)
        client.ib.reqMktDepth(apple, 10)
        client.ib.reqTickByTickData(apple, "BidAsk")
        client.ib.reqTickByTickData(apple, "AllLast")
        await client.heard()
    for second in range(1, 31):
        await control.advance(f"15:00:{second:02d}")
    seen = []
    for client in (one, other):
        messages = await client.heard()
        ids = {b"99": 1, b"1": 2, b"2": 2, b"46": 2, b"13": 2}
        told = [m for m in messages if m[0] in ids]
        assert {m[0] for m in told} == set(ids)
        seen.append([[f for place, f in enumerate(m) if place != ids[m[0]]] for m in told])
    assert seen[0] == seen[1]
    parts = await one.ib.reqSmartComponentsAsync("a6")
    letters = {part.exchangeLetter for part in parts}
    for client in (one, other):
        ticker = client.ib.ticker(apple)
        assert ticker.lastExchange == "Q"
        assert set() < set(ticker.bidExchange) <= letters
        assert set() < set(ticker.askExchange) <= letters


async def test_the_account_is_told_as_far_as_it_changed(pair):
    _, trader, watcher = pair
    await watcher.ib.accountSummaryAsync()
    await watcher.heard()
    (coke,) = await trader.ib.qualifyContractsAsync(Stock("KO", "SMART", "USD"))
    trade = trader.ib.placeOrder(coke, MarketOrder("BUY", 10))
    while not trade.isDone():
        await trader.ib.updateEvent
    told = [m for _ in range(3) for m in await watcher.heard()]
    for kind, place in ((b"6", 2), (b"73", 5), (b"63", 4)):
        tags = Counter(m[place] for m in told if m[0] == kind)
        assert tags[b"TotalCashValue"] >= 1
        assert not tags.keys() & {b"AccountType", b"AccountCode", b"PreviousDayEquityWithLoanValue"}
    assert {m[3] for m in told if m[0] == b"7"} == {b"KO"}
    assert {p.contract.symbol: p.position for p in watcher.ib.portfolio()} == {"KO": 10}
    await watcher.ib.reqAccountUpdatesAsync("")
    again = {m[2] for m in await watcher.heard() if m[0] == b"6"}
    assert {b"AccountType", b"TotalCashValue"} <= again
