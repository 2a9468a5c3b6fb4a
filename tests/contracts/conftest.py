"""A real gateway process on free ports, and the settings, clock and ledger that go with it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from parent_orders import parent_order

from models.domain.orders import ChildOrder, ParentOrder, Side
from models.domain.sessions import exchange_date, next_session, session_on
from models.risk.limits import RiskLimits
from tasks.broker.clock import GatewayClock, ask_control
from tasks.broker.ibkr import OrderConnection
from tasks.broker.market_data import DataConnection
from tasks.broker.protocol import ApiAddress
from tasks.processes import free_port
from tasks.services.gateway_process import stop_gateway
from tasks.session.sessions import ExecutionSession, SessionResult
from tasks.settings import Settings, load_settings
from warehouse.ledger import OrderLedger

HOST = "127.0.0.1"
SPEED = 3600
NAMES = count(1)


@dataclass
class Gateway:
    """One gateway process; `settings` are those of a client of it."""

    settings: Settings
    arguments: tuple[str, ...]
    nursery: Callable
    process: Any

    @classmethod
    def start(
        cls, nursery: Callable, home: Path, *arguments: str, **overrides: object
    ) -> "Gateway":
        chosen = {
            "home": home,
            "port": free_port(),
            "control_port": free_port(),
            "gateway_speed": SPEED,
            "slices": 3,
            "min_child_usd": 0.0,
            "quiet_period": 0.2,
            "broker_timeout": 5.0,
            "lock_deadline": 5.0,
        }
        settings = load_settings(**(chosen | overrides))
        process = _launched(nursery, settings, arguments)
        return cls(settings, arguments, nursery, process)

    def restart(self) -> None:
        self.process = _launched(self.nursery, self.settings, self.arguments)

    def kill(self) -> None:
        """End it without any goodbye."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        stop_gateway(self.settings)
        self.end()

    def end(self) -> None:
        """Stop the process, if it still runs."""
        self.process.terminate()
        self.process.wait(20)
        self.process.close()

    def ask(self, op: str, **fields: object) -> dict:
        return ask_control(HOST, self.settings.control_port, {"op": op, **fields})

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.ask("time")["now"])

    def client(self, home: Path, **overrides: object) -> Settings:
        """Settings of another client: a home and a ledger of its own, the same gateway."""
        return self.settings.model_copy(
            update={"home": home, "ledger_url": load_settings(home=home).ledger_url, **overrides}
        )

    def address(self, client_id: int) -> ApiAddress:
        return ApiAddress(HOST, self.settings.port, client_id)

    @asynccontextmanager
    async def orders(self, client_id: int = 11) -> AsyncIterator[OrderConnection]:
        link = await OrderConnection.open(self.address(client_id), self.settings.broker_timeout)
        try:
            yield link
        finally:
            await link.close()

    @asynccontextmanager
    async def data(
        self, client_id: int = 12, timeout: float | None = None
    ) -> AsyncIterator[DataConnection]:
        deadline = timeout or self.settings.broker_timeout
        link = await DataConnection.open(self.address(client_id), deadline)
        try:
            yield link
        finally:
            await link.close()

    @asynccontextmanager
    async def clock(self, name: str = "test") -> AsyncIterator[GatewayClock]:
        clock = await GatewayClock(HOST, self.settings.control_port, name).open()
        try:
            yield clock
        finally:
            await clock.close()


def _launched(nursery: Callable, settings: Settings, arguments: tuple[str, ...]) -> Any:
    options = {
        "port": settings.port,
        "control-port": settings.control_port,
        "speed": settings.gateway_speed,
        "state-dir": settings.gateway_dir,
    }
    words = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    process = nursery(["run", *words, *arguments])
    assert process.stdout.readline().startswith("gateway ready"), process.stderr.read()
    return process


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither ROBO_ variables nor a .env of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("ROBO_")]:
            patch.delenv(name)
        patch.chdir(tmp_path_factory.mktemp("cwd"))
        yield


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, nursery: Callable) -> Iterator[Gateway]:
    """One gateway for a whole module; its market time and its account go on from test to test."""
    running = Gateway.start(nursery, tmp_path_factory.mktemp("gateway"))
    yield running
    running.stop()


@pytest.fixture
def start_gateway(tmp_path: Path, nursery: Callable) -> Iterator[Callable[..., Gateway]]:
    """Start gateways of a test's own."""
    running: list[Gateway] = []

    def start(name: str = "gateway", *arguments: str, **overrides: object) -> Gateway:
        running.append(Gateway.start(nursery, tmp_path / name, *arguments, **overrides))
        return running[-1]

    yield start
    for one in running:
        one.end()


@pytest.fixture
def settings(gateway: Gateway, tmp_path: Path) -> Settings:
    return gateway.client(tmp_path / "home")


@pytest.fixture
def open_ledger(empty_ledger: Path) -> Iterator[Callable[[Settings], OrderLedger]]:
    opened: list[OrderLedger] = []

    def open_one(settings: Settings) -> OrderLedger:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        if not (place := settings.state_dir / "ledger.sqlite").exists():
            shutil.copy(empty_ledger, place)
        opened.append(OrderLedger(settings.ledger_url.get_secret_value(), 5.0))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Callable[[Settings], OrderLedger], settings: Settings) -> OrderLedger:
    return open_ledger(settings)


@dataclass(frozen=True)
class Span:
    """A stretch of one session that has not begun yet."""

    session: date
    start: datetime
    end: datetime


@pytest.fixture
def make_span() -> Callable[..., Span]:
    """Return the next free stretch of `minutes` in the present session, or of the next one."""

    def make(gateway: Gateway, minutes: int = 30) -> Span:
        now = gateway.now
        day = session_on(exchange_date(now))
        start = None if day is None else max(day.open, now) + timedelta(minutes=2)
        if day is None or start is None or start + timedelta(minutes=minutes + 5) > day.close:
            day = next_session(exchange_date(now))
            start = day.open + timedelta(minutes=2)
        return Span(day.date, start, start + timedelta(minutes=minutes))

    return make


@pytest.fixture
def make_parent() -> Callable[..., ParentOrder]:
    def make(span: Span, symbol: str = "KO", side: Side = Side.BUY, quantity: int = 90, **fields):
        chosen = {
            "parent_id": f"{span.session:%Y%m%d}-t-{symbol}-{span.start:%H%M}",
            "session": span.session,
            "side": side,
            "quantity": quantity,
            "end": span.end,
            "decision_price": Decimal(100),
            "decided_at": span.start - timedelta(hours=1),
        }
        return parent_order(span.start, symbol, **(chosen | fields))

    return make


@pytest.fixture
def execute() -> Callable[..., SessionResult]:
    """Run one execution session to its end, on a loop of its own."""

    def run(settings: Settings, ledger: OrderLedger, **fields) -> SessionResult:
        chosen = {
            "limits": RiskLimits(max_order_quantity=100_000),
            "session": None,
            "longest_wait": 600.0,
            "on_progress": lambda _progress: None,
            "stop": Event(),
        }
        session = ExecutionSession(settings=settings, ledger=ledger, **(chosen | fields))
        return asyncio.run(session.run())

    return run


@pytest.fixture
def make_child() -> Callable[..., ChildOrder]:
    """Make children whose names no other test of the same gateway uses."""

    def make(order_id: int, limit: str, quantity: int = 10, **fields) -> ChildOrder:
        chosen = {
            "parent_id": f"p{next(NAMES)}",
            "slice_no": 1,
            "attempt": 1,
            "symbol": "KO",
            "side": Side.BUY,
            "quantity": quantity,
            "limit_price": Decimal(limit),
            "tif": "IOC",
            "order_id": order_id,
        }
        return ChildOrder(**(chosen | fields))

    return make


@pytest.fixture
def into_session() -> Callable[[GatewayClock], Awaitable[None]]:
    """Let market time run to ten minutes after an open, unless a session runs with time left."""

    async def go(clock: GatewayClock) -> None:
        now = clock.now()
        day = session_on(exchange_date(now))
        if day is None or now > day.close - timedelta(hours=1):
            day = next_session(exchange_date(now))
        await clock.sleep_until(max(now, day.open + timedelta(minutes=10)))

    return go
