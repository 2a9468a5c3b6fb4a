"""A client that hears everything, and a gateway whose faults are cleared after each test."""

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Stock

ERROR = "4"
ids = count(10)


class Client(IB):
    """An unmodified ib_async that also keeps every message that it hears, as fields."""

    async def start(self, gateway, **options):
        self.heard = []
        interpret = self.client.decoder.interpret

        def hear(fields):
            self.heard.append(list(fields))
            interpret(fields)

        self.client.decoder.interpret = hear
        chosen = {"clientId": next(ids), "timeout": 5, "raiseSyncErrors": True, **options}
        await self.connectAsync("127.0.0.1", gateway.port, **chosen)
        await self.flushed()
        self.heard.clear()
        return self

    async def flushed(self):
        return await asyncio.wait_for(self.reqCurrentTimeAsync(), 5)

    def of(self, *kinds):
        return [fields for fields in self.heard if fields[0] in kinds]

    def codes(self):
        return [int(fields[3]) for fields in self.of(ERROR)]

    async def until(self, check, seconds=10):
        for _ in range(int(seconds / 0.01)):
            if check():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not happen in time")

    @property
    def ko(self):
        return Stock("KO", "SMART", "USD", conId=700_000_010)

    def far(self, shares=10):
        """A limit that rests far below the market."""
        return self.placeOrder(self.ko, LimitOrder("BUY", shares, 1.0))

    def buy(self, shares=10):
        return self.placeOrder(self.ko, MarketOrder("BUY", shares))

    async def filled(self):
        trade = self.buy()
        await self.until(lambda: trade.filled() >= trade.order.totalQuantity)
        return trade


class Market:
    """The clock and the faults of a gateway."""

    def __init__(self, control):
        self.control = control

    async def now(self):
        return datetime.fromisoformat((await self.control.ask("time"))["now"])

    async def go(self, seconds):
        to = await self.now() + timedelta(seconds=seconds)
        await self.control.ask("advance", to=to.isoformat())

    async def fault(self, name, on="", nth=1, **params):
        return await self.control.ask("fault", fault=name, params=params, on=on, nth=nth)


@pytest.fixture
async def market(shared_gateway, open_control):
    """The shared gateway's market in its session, every fault cleared at the end."""
    control = await open_control(shared_gateway)
    market = Market(control)
    if (await market.now()).hour < 14:
        await control.advance("14:40:00")
    await market.go(10)
    yield market
    await control.ask("clear-faults")


@asynccontextmanager
async def connected(gateway, **options):
    ib = await Client().start(gateway, **options)
    try:
        yield ib
    finally:
        ib.disconnect()
        await asyncio.sleep(0)


@pytest.fixture
def client():
    """Connect one more client: `async with client(gateway)`."""
    return connected


@pytest.fixture
def client_class():
    return Client


@pytest.fixture
async def ib(shared_gateway, market):
    async with connected(shared_gateway) as ib:
        await ib.qualifyContractsAsync(ib.ko)
        yield ib
