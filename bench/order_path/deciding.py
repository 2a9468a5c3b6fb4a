"""How long an order takes from the decision to the socket, beside a bare placeOrder."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ib_async import IB, LimitOrder

from bench.api_client import api_client, stocks
from bench.figures import Figure, at_most
from bench.parents import one_parent
from bench.running_gateway import RunningGateway, running_gateway
from bench.timing import quantile, seconds
from gateway.market.universe import INSTRUMENTS
from models.domain.sessions import exchange_date, session_on
from models.execution.engine import restore
from models.execution.events import SliceDue
from models.execution.state import SlicingPolicy
from models.risk.limits import RiskLimits
from tasks.broker.ibkr import OrderConnection
from tasks.broker.market_data import DataConnection
from tasks.broker.protocol import ApiAddress
from tasks.session.account import AccountBook
from tasks.session.collector import few_collections
from tasks.session.orders import OrderDesk
from tasks.session.recovery import adopt, recover
from warehouse.ledger import OrderLedger

SYMBOLS = tuple(instrument.symbol for instrument in INSTRUMENTS[:20])
SLICES = 20  # of each of twenty parents
LASTS = timedelta(seconds=SLICES)
WARM_UPS = 40
PAGES_OF_AN_INTENT = 6  # and two of the table itself: what the log grows by before a send
MEDIAN_MS, P99_MS = 1.0, 10.0  # the targets
LIMITS = RiskLimits(max_orders_per_minute=1800, duplicate_window=0)


@dataclass(slots=True)
class Times:
    """Seconds from the decision to the socket write, and of what it is held against, in turns.

    `intent` is the ledger's transaction before the send, COMMIT included; `bare` a placeOrder of
    ib_async; `disk` a bare sqlite3 commit that syncs as many pages.
    """

    written: list[float] = field(default_factory=list[float])
    intent: list[float] = field(default_factory=list[float])
    bare: list[float] = field(default_factory=list[float])
    disk: list[float] = field(default_factory=list[float])

    def after(self, warm_ups: int) -> Times:
        """Return the same without the first of each."""
        lists = (self.written, self.intent, self.bare, self.disk)
        return Times(*(times[warm_ups:] for times in lists))


def measure() -> Iterator[Figure]:
    """Decide, check, commit and write 400 one-share orders, and as many bare ones in turns.

    From the word that a slice is due to the return of the socket write: the engine's step, every
    pre-trade check, the ledger's commit (SQLite, synchronous FULL, on the disk of the temporary
    folder) and the encoding. The bare one is IB.placeOrder of ib_async on a connection of its own.
    What the disk itself takes bounds all of it from below: it is measured in the same turns. The
    floor is a bare commit and a bare placeOrder, one behind the other.
    """
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # it tells each of the bare ones' ends
    with running_gateway() as gateway:
        now = gateway.open_market()
        times = asyncio.run(_run(gateway, now))
    written, bare = statistics.median(times.written), statistics.median(times.bare)
    intent, worst = statistics.median(times.intent), quantile(times.written, 0.99)
    disk, disk_worst = statistics.median(times.disk), quantile(times.disk, 0.99)
    floor = statistics.median(map(sum, zip(times.disk, times.bare, strict=True)))
    name = "order_path.decision_to_write"
    yield Figure(name, written * 1e3, "ms", "target", MEDIAN_MS, at_most(1.0))
    yield Figure(f"{name}_p99", worst * 1e3, "ms", "target", P99_MS, at_most(1.0))
    rival = "ib_async IB.placeOrder, no check, no ledger"
    yield Figure(f"{name}_bare", written * 1e3, "ms", rival, bare * 1e3, at_most(8.0))
    bound = "sqlite3 commit of as many pages, then IB.placeOrder: no check, no record"
    yield Figure(f"{name}_floor", written * 1e3, "ms", bound, floor * 1e3, at_most(4.0))
    whole = "decision to write, of which the intent's transaction is a part"
    yield Figure("order_path.commit", intent * 1e3, "ms", whole, written * 1e3, at_most(0.9))
    bound = "sqlite3 INSERT and COMMIT of as many pages, WAL, synchronous FULL"
    yield Figure("order_path.commit_disk", intent * 1e3, "ms", bound, disk * 1e3, at_most(4.0))
    bound = f"99th percentile of {bound}"
    yield Figure(f"{name}_p99_disk", worst * 1e3, "ms", bound, disk_worst * 1e3, at_most(4.0))


async def _run(gateway: RunningGateway, now: datetime) -> Times:
    orders = await OrderConnection.open(ApiAddress("127.0.0.1", gateway.port, 11), 20.0)
    data = await DataConnection.open(ApiAddress("127.0.0.1", gateway.port, 12), 20.0)
    orders.send_unpaced()
    try:
        with OrderLedger(f"sqlite:///{gateway.folder / 'ledger.sqlite'}") as ledger:
            async with api_client(gateway) as bare:
                desk = await _desk(ledger, orders, data, now)
                with few_collections():  # as a session does
                    return await _decide(desk, bare, now, gateway.folder / "bare.sqlite")
    finally:
        await orders.close()
        await data.close()


async def _desk(
    ledger: OrderLedger, orders: OrderConnection, data: DataConnection, now: datetime
) -> OrderDesk:
    day = session_on(exchange_date(now))
    assert day is not None
    parents = [one_parent(f"bench-{s}", s, SLICES, now, LASTS) for s in SYMBOLS]
    ledger.parents.add(parents)
    data.stamp_quotes_with(lambda: now)
    await orders.qualify(SYMBOLS)
    await data.subscribe(SYMBOLS)
    await data.flush()
    evidence = await orders.collect_evidence()
    adopt(ledger, evidence)
    worth = float(evidence.net_liquidation)
    book = AccountBook(evidence.account, ledger, worth, worth)
    lease = ledger.leases.acquire(
        "bench", "bench", pid=1, host="here", ttl=3600, now=datetime.now(UTC)
    )
    policy = SlicingPolicy(slices=SLICES)
    executions = {p.parent_id: restore(p, policy) for p in parents}
    desk = OrderDesk(ledger, orders, book, LIMITS, day, data.quote, lease, executions)
    await recover(desk, 0.2)
    return desk


def _note_marks(desk: OrderDesk, times: Times) -> list[float]:
    """Time the transaction of each intent; return where the moment of each socket write goes."""
    clock = time.perf_counter
    marks: list[float] = []
    send: Any = desk.gateway.send
    commit: Any = desk.ledger.children.commit_intent

    def timed_send(child: Any) -> None:
        send(child)
        marks.append(clock())

    def timed_commit(*child: Any, **terms: Any) -> Any:
        started = clock()
        committed = commit(*child, **terms)
        times.intent.append(clock() - started)
        return committed

    desk.gateway.send = timed_send  # type: ignore[method-assign]
    desk.ledger.children.commit_intent = timed_commit  # type: ignore[method-assign]
    return marks


async def _decide(desk: OrderDesk, bare: IB, now: datetime, beside: Path) -> Times:
    times, clock = Times(), time.perf_counter
    marks = _note_marks(desk, times)
    disk_commit = bare_commit(beside)
    contracts = {contract.symbol: contract for contract in stocks()}
    for number in range(SLICES):
        due = now + timedelta(seconds=number)
        for parent_id, execution in list(desk.executions.items()):
            symbol = execution.parent.symbol
            marks.clear()
            started = clock()
            desk.feed(parent_id, SliceDue(due, desk.quote(symbol)), now)
            if marks:
                times.written.append(marks[0] - started)
            order = LimitOrder("BUY", 1, 1.0, tif="IOC", orderRef=f"{parent_id}.{number}.bare")
            started = clock()
            bare.placeOrder(contracts[symbol], order)
            times.bare.append(clock() - started)
            times.disk.append(seconds(disk_commit))
        await desk.gateway.flush()
        desk.pump(now)
        if not desk.is_quiet:
            await recover(desk, 0.2)
    if len(times.written) < SLICES * len(SYMBOLS) * 0.9:
        raise RuntimeError(f"only {len(times.written)} orders were sent: {desk.denied}")
    return times.after(WARM_UPS)


def bare_commit(path: Path) -> Callable[[], None]:
    """Return what commits one row of an intent's size to a database of its own."""
    bare = sqlite3.connect(path, isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE intents (content BLOB)")
    content = bytes(PAGES_OF_AN_INTENT * 4096)

    def commit() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO intents VALUES (?)", (content,))
        bare.execute("COMMIT")

    return commit
