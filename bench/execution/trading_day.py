"""How much longer a simulated day takes than its market time at that speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from threading import Event

from bench.day_plan import day_plan
from bench.figures import Figure, at_most
from bench.running_gateway import RunningGateway, running_gateway
from models.domain.orders import ParentState
from models.domain.sessions import exchange_date, session_on
from tasks.books.account_snapshot import read_account
from tasks.limits import load_limits
from tasks.session.sessions import ExecutionSession
from tasks.settings import load_settings
from tasks.stores import open_ledger

SPEED = 600.0
SYMBOLS = ("AAPL", "BAC", "CVX", "JNJ", "KO", "MSFT", "PG", "XOM")
NOTIONAL = Decimal(10_000)  # of each parent, in an account of 100,000 USD


def measure() -> Iterator[Figure]:
    """Work eight parents, TWAP from open to close, through a real gateway at speed 600, once.

    The time is that of the whole ExecutionSession: connecting, recovery, 13 slices, the last
    reconciliation. The rival is physical: the market seconds from the open to the session's end
    (the last slice fills in the last half hour; a whole day has 23,400) over the speed. Raises
    RuntimeError when a parent is not filled.
    """
    with running_gateway(SPEED) as gateway:
        took, market_seconds = _run(gateway)
    rival = f"{market_seconds:.0f} market seconds / {SPEED:.0f}"
    yield Figure("execution.day", took, "s", rival, market_seconds / SPEED, at_most(1.1))


def _run(gateway: RunningGateway) -> tuple[float, float]:
    settings = load_settings(
        mode="simulated",
        home=gateway.folder / "home",
        host="127.0.0.1",
        port=gateway.port,
        control_port=gateway.control_port,
        gateway_speed=SPEED,
        account="",
        clock="gateway",
        slices=13,
        min_child_usd=0.0,
        ledger_url=f"sqlite:///{gateway.folder / 'ledger.sqlite'}",
    )
    now = datetime.fromisoformat(gateway.control("time")["now"])
    day = session_on(exchange_date(now))
    assert day is not None
    read_account(settings)  # the first connection imports ib_async, which is no part of a session
    with open_ledger(settings) as ledger:
        prices = {symbol: Decimal(100) for symbol in SYMBOLS}
        ledger.parents.add(day_plan(day, prices, NOTIONAL, now))
        session = ExecutionSession(
            settings=settings,
            ledger=ledger,
            limits=load_limits(settings.limits_path),
            session=day.date,
            longest_wait=3600.0,
            on_progress=lambda _progress: None,
            stop=Event(),
        )
        started = time.perf_counter()
        result = asyncio.run(session.run())
        took = time.perf_counter() - started
        states = {
            record.order.symbol: record.state for record in ledger.parents.of_session(day.date)
        }
    unfilled = [symbol for symbol, state in states.items() if state is not ParentState.FILLED]
    if unfilled:
        raise RuntimeError(f"{', '.join(unfilled)} did not fill; look into the session's log above")
    return took, (result.ended_at - day.open).total_seconds()
