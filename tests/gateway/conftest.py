"""A real gateway process on free loopback ports, and an exchange on a journal of its own."""

import asyncio
import json
import os
import signal
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest

from gateway.engine.account import Account
from gateway.engine.exchange import Exchange
from gateway.engine.journal import Journal
from gateway.market.closes import Closes
from gateway.market.market import Market
from gateway.timeline import SECOND, to_micros

SEED = 7


def at(text):
    """Microseconds of a UTC time on the first simulated session."""
    moment = text if "T" in text else f"2022-12-29T{text}"
    return to_micros(datetime.fromisoformat(moment).replace(tzinfo=UTC))


@pytest.fixture(scope="session")
def closes():
    return Closes(SEED)


@pytest.fixture(scope="session")
def market(closes):
    """A market that no test trades in."""
    return Market(SEED, closes)


class Desk:
    """One exchange on its journal, as one gateway process would have it."""

    def __init__(self, folder, closes, now=None, cash=1_000_000_000):
        self.journal = Journal(folder)
        meta = self.journal.meta()
        market = Market(SEED, closes)
        account = Account(int(meta.get("cash", cash)), prior_equity=cash)
        start = int(meta["now"]) if meta else (now or at("13:00:00"))
        self.exchange = Exchange(market, self.journal, account, start)
        self.exchange.restore()
        self.next_id = 0

    def order(self, kind="MKT", buy=True, shares=100, limit=None, tif="DAY", **fields):
        return {
            "action": "BUY" if buy else "SELL",
            "totalQuantity": Decimal(shares),
            "orderType": kind,
            "lmtPrice": limit,
            "auxPrice": None,
            "tif": tif,
            "account": "",
            "parentId": 0,
            "transmit": True,
            "orderRef": "ref",
            "exchange": "SMART",
            **fields,
        }

    def place(self, column=0, order_id=None, client_id=1, **fields):
        if order_id is None:
            order_id = self.exchange.next_id(client_id)
        self.exchange.place(client_id, order_id, column, self.order(**fields))
        return self.exchange._by_client[client_id, order_id]

    def go(self, text):
        self.exchange.advance(at(text))

    def events(self):
        return self.exchange.commit()

    def close(self):
        self.journal.close()

    @property
    def second(self):
        return self.exchange.span.second(self.exchange.now)

    def go_seconds(self, seconds):
        self.exchange.advance(self.exchange.now + seconds * SECOND)

    def now_cents(self, column=0):
        return self.exchange.mark(column)

    def path_cents(self, column=0):
        """The mid at every second of the session, before anybody trades."""
        book = self.exchange.market.book_of(column, self.exchange.span)
        return [round(float(mid) * 100) for mid in book.path.mid]

    def fills(self):
        return [(e.price, e.shares, e.order_id) for e in self.exchange.executions.values()]

    @staticmethod
    def dollars(cents):
        return Decimal(cents) / 100


@pytest.fixture
def desk(tmp_path, closes):
    desk = Desk(tmp_path / "state", closes)
    yield desk
    desk.close()


@pytest.fixture
def open_desk(desk):
    """The desk at 10:00 in New York."""
    desk.go("15:00:00")
    return desk


class Control:
    """A control connection."""

    def __init__(self, port):
        self.port = port
        self._ids = 0

    async def open(self):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def raw(self, op, **fields):
        self._ids += 1
        request = {"id": self._ids, "op": op, **fields}
        self._writer.write(json.dumps(request).encode() + b"\n")
        return json.loads(await asyncio.wait_for(self._reader.readline(), 60))

    async def ask(self, op, **fields):
        reply = await self.raw(op, **fields)
        assert reply["ok"], reply
        return reply

    async def advance(self, text):
        moment = text if "T" in text else f"2022-12-29T{text}"
        return await self.ask("advance", to=f"{moment}+00:00")

    def close(self):
        self._writer.close()


class GatewayProcess:
    """`gateway run` in a process of its own; `line` is what it printed when ready."""

    def __init__(self, nursery, folder, *options):
        arguments = ["run", "--port", "0", "--control-port", "0", "--state-dir", str(folder)]
        self.process = nursery([*arguments, "--speed", "3600", *options])
        self.line = self.process.stdout.readline()
        assert self.line.startswith("gateway ready"), self.line + self.process.stderr.read()
        words = self.line.replace(")", "").replace(",", "").split()
        self.port = int(words[3].split(":")[1])
        self.control_port = int(words[5])

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def start_gateway(nursery):
    """Start gateways that are stopped when the test ends."""
    running = []

    def start(folder, *options):
        running.append(GatewayProcess(nursery, folder, *options))
        return running[-1]

    yield start
    for gateway in running:
        gateway.stop()


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory, nursery):
    """One gateway for tests that leave no trace in its account."""
    gateway = GatewayProcess(nursery, tmp_path_factory.mktemp("shared"), "--clock", "step")
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def free_gateway(tmp_path_factory, nursery):
    """A gateway that holds nobody to the pace of requests."""
    gateway = GatewayProcess(
        nursery, tmp_path_factory.mktemp("free"), "--no-pacing", "--clock", "step"
    )
    yield gateway
    gateway.stop()


@pytest.fixture
async def open_control():
    """Open control connections that are closed when the test ends."""
    opened = []

    async def connect(gateway):
        opened.append(await Control(gateway.control_port).open())
        return opened[-1]

    yield connect
    for control in opened:
        control.close()


@pytest.fixture
def desk_class():
    return Desk


@pytest.fixture(scope="session")
def gateway_class(nursery):
    return partial(GatewayProcess, nursery)
