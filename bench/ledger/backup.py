"""How fast a ledger is backed up, checks included."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from bench.figures import Figure, at_least
from bench.timing import in_turns
from warehouse.ledger import OrderLedger

EVENTS = 60_000
NOW = datetime(2024, 1, 2, 22, tzinfo=UTC)


def measure() -> Iterator[Figure]:
    """Back up a ledger of 60,000 journal events: pages copied, synced, and checked row by row.

    The rival, in turns on the same disk, is a plain copy of the file, which checks nothing and is
    not whole while somebody writes.
    """
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        folder = Path(name)
        path = folder / "ledger.sqlite"
        with OrderLedger(f"sqlite:///{path}") as ledger, ledger.transaction():
            for number in range(EVENTS):
                ledger.events.append("order_status", f"p.{number}.1", {"pad": "x" * 400}, NOW)
        size = path.stat().st_size / 1e6
        with OrderLedger(f"sqlite:///{path}") as ledger:
            names = count()

            def backup() -> object:
                target = folder / f"b{next(names)}.sqlite"
                return ledger.backup(target, NOW, lambda _: None)

            def plain() -> object:
                return shutil.copyfile(path, folder / f"c{next(names)}.sqlite")

            taken, rival = in_turns(backup, plain, 5).medians
    yield Figure(
        "ledger.backup", size / taken, "MB/s", "shutil.copyfile", size / rival, at_least(0.02)
    )
