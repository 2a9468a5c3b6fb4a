"""What committing an order's intent costs before it may be sent."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from bench.day_plan import day_plan
from bench.figures import Figure, at_most
from bench.timing import Pair, seconds
from gateway.market.universe import INSTRUMENTS
from models.domain.orders import ChildOrder
from models.domain.sessions import next_session
from warehouse.ledger import OrderLedger

SLICES = 20  # of each of 20 parents: 400 intents
WARM_UPS = 20
SHARES = 10


def measure() -> Iterator[Figure]:
    """Commit 400 intents of 20 parents, one transaction each, as a session does before it sends.

    Each transaction checks for a halt, for earlier attempts and for the parent's room, takes an
    order id and stores the child. The rival, in turns on the same disk, is one bare sqlite3 INSERT
    and COMMIT with the same durability (WAL, synchronous FULL).
    """
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        folder = Path(name)
        with OrderLedger(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
            pair = _run(ledger, folder)
    taken, bare = pair.medians
    rival = "sqlite3 INSERT and COMMIT, WAL, synchronous FULL"
    yield Figure("ledger.commit_intent", taken * 1e3, "ms", rival, bare * 1e3, at_most(4.0))


def _run(ledger: OrderLedger, folder: Path) -> Pair:
    session = next_session(date(2022, 12, 28))
    prices = {instrument.symbol: Decimal(100) for instrument in INSTRUMENTS}
    plan = day_plan(session, prices, Decimal(100 * SHARES * SLICES), session.open)
    ledger.parents.add(plan)
    bare = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute(
        "CREATE TABLE children (ref TEXT PRIMARY KEY, symbol TEXT, shares INTEGER, at TEXT)"
    )
    pair = Pair()
    for slice_no in range(1, SLICES + 1):
        at = session.open + timedelta(minutes=slice_no)
        for parent in plan:
            child = ChildOrder(
                parent.parent_id,
                slice_no,
                1,
                parent.symbol,
                parent.side,
                SHARES,
                Decimal(101),
                "IOC",
            )

            def commit(child: ChildOrder = child) -> object:
                return ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=at)  # noqa: B023

            pair.candidate.append(seconds(commit))
            pair.rival.append(seconds(_bare_commit(bare, child.order_ref, at.isoformat())))
    bare.close()
    return Pair(pair.candidate[WARM_UPS:], pair.rival[WARM_UPS:])


def _bare_commit(bare: sqlite3.Connection, order_ref: str, at: str) -> Callable[[], None]:
    row = (order_ref, "AAPL", SHARES, at)

    def commit() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO children VALUES (?, ?, ?, ?)", row)
        bare.execute("COMMIT")

    return commit
