"""What the certification cases stand on: a gateway, a market whose clock they turn, client desks.

A case that asks for `desk` runs through ib_async and ib_insync. One that does without `market`
needs nothing of a simulator and runs against a paper account too, when
ROBO_PAPER_ADDRESS=HOST:PORT names one: `pytest -m paper tests/contracts/certification`.
"""

import asyncio
import importlib
import json
import os
import socket
from datetime import datetime, timedelta
from itertools import count

import pytest

LIBRARIES = ("ib_async", "ib_insync")
PAPER = os.environ.get("ROBO_PAPER_ADDRESS", "")
ids = count(20)


def pytest_generate_tests(metafunc):
    if "library" not in metafunc.fixturenames:
        return
    cases = [pytest.param((name, ""), id=name) for name in LIBRARIES]
    if PAPER and "market" not in metafunc.fixturenames:
        cases += [
            pytest.param((name, PAPER), id=f"{name}-paper", marks=pytest.mark.paper)
            for name in LIBRARIES
        ]
    metafunc.parametrize("library", cases)


class Simulated:
    """A simulated gateway in a process of its own, and its control socket."""

    def __init__(self, nursery, folder, *options):
        self.nursery, self.folder, self.options = nursery, folder, options
        self.start()

    def start(self):
        arguments = ["run", "--port", "0", "--control-port", "0", "--state-dir", str(self.folder)]
        self.process = self.nursery([*arguments, "--speed", "3600", *self.options])
        words = self.process.stdout.readline().replace(")", "").replace(",", "").split()
        self.port, self.control_port = int(words[3].split(":")[1]), int(words[5])

    def ask(self, op, **fields):
        with socket.create_connection(("127.0.0.1", self.control_port), 30) as link:
            link.sendall(json.dumps({"id": 1, "op": op, **fields}).encode() + b"\n")
            reply = json.loads(link.makefile("rb").readline())
        assert reply["ok"], reply
        return reply

    def now(self):
        return datetime.fromisoformat(self.ask("time")["now"])

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.process.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.close()


@pytest.fixture(scope="session")
def simulated(tmp_path_factory, nursery):
    gateway = Simulated(nursery, tmp_path_factory.mktemp("certification"), "--cash", "1000000")
    gateway.ask("advance", to=(gateway.now() + timedelta(hours=1, minutes=40)).isoformat())
    yield gateway
    gateway.stop()


class Market:
    """The clock of the simulated gateway."""

    def __init__(self, gateway):
        self.gateway = gateway

    async def go(self, seconds):
        to = self.gateway.now() + timedelta(seconds=seconds)
        await asyncio.to_thread(self.gateway.ask, "advance", to=to.isoformat())

    async def fault(self, name, **params):
        await asyncio.to_thread(self.gateway.ask, "fault", fault=name, params=params)


@pytest.fixture
def market(simulated):
    yield Market(simulated)
    simulated.ask("clear-faults")


class Desk:
    """One client: its library, its IB object, and every message that it has heard, as fields."""

    def __init__(self, name, host, port):
        self.lib = importlib.import_module(name)
        self.host, self.port = host, port
        self.ib = self.lib.IB()
        self.heard = []
        self.client_id = next(ids)
        interpret = self.ib.client.decoder.interpret

        def hear(fields):
            self.heard.append(list(fields))
            interpret(fields)

        self.ib.client.decoder.interpret = hear

    async def connect(self, client_id=None):
        self.client_id = self.client_id if client_id is None else client_id
        await self.ib.connectAsync(self.host, self.port, self.client_id, timeout=6)
        return self

    async def stock(self, symbol="KO"):
        (contract,) = await self.ib.qualifyContractsAsync(self.lib.Stock(symbol, "SMART", "USD"))
        self.heard.clear()
        return contract

    async def flushed(self):
        return await asyncio.wait_for(self.ib.reqCurrentTimeAsync(), 10)

    async def until(self, check, seconds=10):
        for _ in range(int(seconds / 0.01)):
            if check():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not happen in time")

    def of(self, *kinds):
        return [fields for fields in self.heard if fields[0] in {str(kind) for kind in kinds}]

    def codes(self, least=0):
        return [
            int(f[3]) for f in self.of(4) if int(f[3]) >= least and not 2100 <= int(f[3]) < 2200
        ]

    def place(self, contract, order):
        return self.ib.placeOrder(contract, order)

    async def placed(self, contract, order, status="Submitted"):
        trade = self.place(contract, order)
        await self.until(lambda: trade.orderStatus.status == status)
        return trade

    async def quote(self, contract):
        ticker = self.ib.reqMktData(contract)
        await self.until(lambda: ticker.ask == ticker.ask and ticker.ask > 0)
        self.ib.cancelMktData(contract)
        return ticker.bid, ticker.ask


@pytest.fixture
async def open_desk(library, request):
    name, address = library
    if address:
        host, _, port = address.rpartition(":")
    else:
        host, port = "127.0.0.1", request.getfixturevalue("simulated").port
    opened = []

    async def connect(client_id=None):
        opened.append(Desk(name, host, int(port)))
        return await opened[-1].connect(client_id)

    yield connect
    for desk in opened:
        desk.ib.disconnect()
    await asyncio.sleep(0)


@pytest.fixture
async def desk(open_desk):
    return await open_desk()
