"""How long a session needs to come back to 500 orders that work at the broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bench.figures import Figure, at_most
from bench.parents import one_parent
from bench.running_gateway import RunningGateway, running_gateway
from gateway.market.universe import INSTRUMENTS
from models.domain.orders import ChildOrder, ChildState, Side
from models.domain.sessions import exchange_date, session_on
from models.risk.limits import RiskLimits
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import ApiAddress
from tasks.session.account import AccountBook
from tasks.session.orders import OrderDesk
from tasks.session.recovery import adopt, recover, restore_session
from tasks.settings import Settings, load_settings
from warehouse.ledger import OrderLedger

CHILDREN = 500
TARGET = 5.0  # seconds
HOUR = timedelta(hours=1)
UNPROVEN = frozenset({ChildState.INTENT, ChildState.SENT, ChildState.UNKNOWN})


def measure() -> Iterator[Figure]:
    """Leave 500 resting orders as a killed session does, then connect and recover once.

    Each was committed and sent, and nothing of its answers was read. The time is from the
    connection to the end of recovery: every child proven to work, by the broker's evidence.
    """
    with running_gateway() as gateway:
        now = gateway.open_market()
        settings = load_settings(home=gateway.folder / "home", mode="simulated")
        with OrderLedger(f"sqlite:///{gateway.folder / 'ledger.sqlite'}") as ledger:
            asyncio.run(_leave(gateway, ledger, now))
            took = asyncio.run(_come_back(gateway, ledger, settings, now))
    yield Figure("order_path.recovery_500", took, "s", "target", TARGET, at_most(1.0))


async def _leave(gateway: RunningGateway, ledger: OrderLedger, now: datetime) -> None:
    symbols = [instrument.symbol for instrument in INSTRUMENTS][:20]
    parents = [
        one_parent(f"bench-{n}", symbols[n % len(symbols)], 100, now, HOUR, strategy=f"bench{n}")
        for n in range(CHILDREN)
    ]
    ledger.parents.add(parents)
    link = await _open(gateway)
    link.send_unpaced()
    await link.qualify(symbols)
    adopt(ledger, await link.collect_evidence())
    for parent in parents:
        child = ChildOrder(
            parent.parent_id, 1, 1, parent.symbol, Side.BUY, 1, Decimal("1.00"), "DAY"
        )
        stored = ledger.children.commit_intent(
            child, link.client_id, link.account, next_valid_id=link.next_order_id(), at=now
        )
        link.send(stored)
    await link.flush()
    await link.close()


async def _come_back(
    gateway: RunningGateway, ledger: OrderLedger, settings: Settings, now: datetime
) -> float:
    day = session_on(exchange_date(now))
    assert day is not None
    lease = ledger.leases.acquire(
        "bench", "bench", pid=1, host="here", ttl=3600, now=datetime.now(UTC)
    )
    started = time.perf_counter()
    link = await _open(gateway)
    executions = restore_session(ledger, day.date, settings)
    evidence = await link.collect_evidence()
    adopt(ledger, evidence)
    worth = float(evidence.net_liquidation)
    book = AccountBook(evidence.account, ledger, worth, worth)
    desk = OrderDesk(ledger, link, book, RiskLimits(), day, lambda _symbol: None, lease, executions)
    await recover(desk, settings.quiet_period)
    took = time.perf_counter() - started
    await link.close()
    states = [c.state for e in desk.executions.values() for c in e.children.values()]
    if len(states) != CHILDREN or UNPROVEN.intersection(states):
        raise RuntimeError(f"{len(states)} children, of which some are unproven: {set(states)}")
    return took


async def _open(gateway: RunningGateway) -> OrderConnection:
    return await OrderConnection.open(ApiAddress("127.0.0.1", gateway.port, 11), 60.0)
