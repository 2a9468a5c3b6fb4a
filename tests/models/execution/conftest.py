"""One small parent order, its quotes and its executions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.domain.orders import Fill, ParentOrder, Quote, Side
from models.execution.engine import restore, step
from models.execution.events import Reconciled
from models.execution.state import ParentExecution, SlicingPolicy

START = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
PARENT = ParentOrder(
    "p", START.date(), "trend", "KO", Side.BUY, 100, "TWAP", START, START + timedelta(minutes=40),
    Decimal(60), START, "m",
)  # fmt: skip


@pytest.fixture
def parent() -> ParentOrder:
    """Buy 100 KO in four slices of 25, ten minutes apart, from 14:30 UTC."""
    return PARENT


@pytest.fixture
def working() -> Callable[..., ParentExecution]:
    """Return a freshly reconciled execution of the parent, with changes."""

    def make(slices: int = 4, catch_up: str = "2", **changes: Any) -> ParentExecution:
        policy = SlicingPolicy(slices, Decimal(5), Decimal(catch_up))
        execution, _ = step(restore(replace(PARENT, **changes), policy), Reconciled(START))
        return execution

    return make


@pytest.fixture
def at() -> Callable[[float], datetime]:
    """Return the moment some minutes after the start."""
    return lambda minutes: START + timedelta(minutes=minutes)


@pytest.fixture
def quote() -> Quote:
    """KO at 59.99 / 60.01."""
    return Quote("KO", Decimal("59.99"), Decimal("60.01"), 100, 100, START)


@pytest.fixture
def fill() -> Callable[..., Fill]:
    """Return an execution of a child, by its orderRef, shares and exec id."""

    def make(order_ref: str, shares: int, exec_id: str = "e.1.01", **changes: Any) -> Fill:
        made = Fill(exec_id, order_ref, "KO", Side.BUY, shares, Decimal("60.01"), START, 7)
        return replace(made, **changes)

    return make
