"""A fresh ledger for every test, on SQLite and on a real PostgreSQL.

The server is Debian's package (`apt-get install postgresql`), started here on a data folder of its
own and a free loopback port; LEDGER_TEST_URL may name another one, whose schema public is dropped.
Where there is neither, the PostgreSQL half is skipped and says why; nothing is installed.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from parent_orders import parent_order
from postgres_server import PostgresServer, installed_programs, unprivileged_user
from sqlalchemy import create_engine, text

from models.domain.orders import ChildOrder, Fill, ParentOrder, Side
from warehouse.ledger import OrderLedger

NOW = datetime(2024, 1, 2, 15, 30, 0, 123456, tzinfo=UTC)
TESTS_TAKE_TURNS = 4_711  # advisory lock of a server that several test processes share


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    programs = installed_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql, or LEDGER_TEST_URL")
    user = unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="robo-pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = PostgresServer(programs, folder, port, user)
    try:
        server.make()
        server.start()
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", b"") or b""
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL could not be started: {error} {said.decode()[-300:]}")
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty PostgreSQL database; tests of several processes take turns in a shared one."""
    url = os.environ.get("LEDGER_TEST_URL", "")
    if not url:
        url = request.getfixturevalue("postgres_server").url
    engine = create_engine(url)
    with engine.connect() as turn:
        turn.execute(text(f"SELECT pg_advisory_lock({TESTS_TAKE_TURNS})"))
        turn.execute(text("DROP SCHEMA public CASCADE"))
        turn.execute(text("CREATE SCHEMA public"))
        turn.commit()
        yield url
        turn.invalidate()  # the server may have been killed meanwhile
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/ledger.sqlite"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[OrderLedger]:
    with OrderLedger(ledger_url, deadline=5.0) as opened:
        yield opened


@pytest.fixture
def make_parent() -> Callable[..., ParentOrder]:
    def make(symbol: str = "AAPL", **changes: object) -> ParentOrder:
        chosen = {
            "parent_id": f"20240102-ml-{symbol}",
            "strategy": "ml",
            "quantity": 100,
            "end": NOW + timedelta(hours=5),
            "decision_price": Decimal("185.640"),
            "model_version": "3",
        }
        return parent_order(NOW, symbol, **(chosen | changes))

    return make


@pytest.fixture
def make_child() -> Callable[..., ChildOrder]:
    def make(slice_no: int = 0, quantity: int = 10, **changes: object) -> ChildOrder:
        fields: dict[str, object] = {
            "parent_id": "20240102-ml-AAPL",
            "slice_no": slice_no,
            "attempt": 1,
            "symbol": "AAPL",
            "side": Side.BUY,
            "quantity": quantity,
            "limit_price": Decimal("186.10"),
            "tif": "DAY",
        }
        return ChildOrder(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_fill() -> Callable[..., Fill]:
    def make(exec_id: str = "0001.aa.01", quantity: int = 10, **changes: object) -> Fill:
        fields: dict[str, object] = {
            "exec_id": exec_id,
            "order_ref": "20240102-ml-AAPL.0.1",
            "symbol": "AAPL",
            "side": Side.BUY,
            "quantity": quantity,
            "price": Decimal("186.05"),
            "at": NOW,
            "perm_id": 7001,
        }
        return Fill(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def commit(
    ledger: OrderLedger,
    make_parent: Callable[..., ParentOrder],
    make_child: Callable[..., ChildOrder],
) -> Callable[..., ChildOrder]:
    """Commit a child of the AAPL parent (100 shares, stored on the way) in account SIM1."""
    ledger.parents.add([make_parent()])

    def do(slice_no: int = 0, quantity: int = 10, **changes: object) -> ChildOrder:
        child = make_child(slice_no, quantity, **changes)
        return ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=NOW)

    return do


@pytest.fixture
def filled(
    ledger: OrderLedger, commit: Callable[..., ChildOrder], make_fill: Callable[..., Fill]
) -> OrderLedger:
    """A ledger with a row in every sealed table."""

    class Verdict:
        check, passed, reason, numbers = "notional", True, "", {"limit_usd": 5}

    ledger.accounts.record_opening("SIM1", Decimal(5000), {"KO": 5}, NOW)
    commit(0)
    ledger.parents.record_verdicts("20240102-ml-AAPL", [Verdict()], NOW)
    ledger.worked.note_mid("20240102-ml-AAPL", "arrival", Decimal("186.02"), NOW)
    ledger.executions.record(make_fill("0001.aa.01"), "SIM1")
    ledger.executions.record_commission("0001.aa.01", Decimal(1))
    ledger.events.append("order_status", "20240102-ml-AAPL.0.1", {"status": "Filled"}, NOW)
    ledger.events.append("order_status", "20240102-ml-AAPL.0.1", {"status": "Filled"}, NOW)
    return ledger
