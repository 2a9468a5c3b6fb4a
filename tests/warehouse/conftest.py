"""A fresh ledger for every test, on SQLite and, when LEDGER_TEST_URL names one, on PostgreSQL."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from models.domain.orders import ChildOrder, Fill, ParentOrder, Side
from warehouse.ledger import OrderLedger

NOW = datetime(2024, 1, 2, 15, 30, 0, 123456, tzinfo=UTC)
POSTGRES = os.environ.get("LEDGER_TEST_URL", "")


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/ledger.sqlite"
    engine = create_engine(POSTGRES)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return POSTGRES


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[OrderLedger]:
    with OrderLedger(ledger_url, deadline=5.0) as opened:
        yield opened


@pytest.fixture
def make_parent() -> Callable[..., ParentOrder]:
    def make(symbol: str = "AAPL", **changes: object) -> ParentOrder:
        fields: dict[str, object] = {
            "parent_id": f"20240102-ml-{symbol}",
            "session": date(2024, 1, 2),
            "strategy": "ml",
            "symbol": symbol,
            "side": Side.BUY,
            "quantity": 100,
            "algo": "TWAP",
            "start": NOW,
            "end": NOW + timedelta(hours=5),
            "decision_price": Decimal("185.640"),
            "decided_at": NOW,
            "model_version": "3",
            "limit_price": None,
        }
        return ParentOrder(**(fields | changes))  # type: ignore[arg-type]

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
