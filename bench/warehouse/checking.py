"""How long a writer waits while another process checks a few million bars."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure, at_most
from bench.minute_sample import minute_frame
from bench.timing import quantile, seconds
from warehouse.market import MarketWarehouse
from warehouse.market.contents import table_contents

KNOWN_AT = datetime(2026, 1, 5, tzinfo=UTC)
SYMBOLS, SESSIONS = 20, 125  # about a million minutes, twice as many rows with what is built
PAUSE = 0.1  # seconds between two merges
CHECK = """
import sys
from warehouse.market import MarketWarehouse
from warehouse.market.checking import check_market
warehouse = MarketWarehouse(sys.argv[1], deadline=60)
print("ready", flush=True)
assert check_market(warehouse.store, lambda text: None).problems == ()
"""


def measure() -> Iterator[Figure]:
    """Merge a day of one symbol again and again beside `check_market`; the longest is told, too.

    The time is that of the whole merge: waiting, opening, writing, closing. What the check costs is
    beside one reading and hashing of every row under one opening.
    """
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        warehouse = MarketWarehouse(Path(name) / "market.duckdb", deadline=60)
        warehouse.minutes.merge(minute_frame(SYMBOLS, SESSIONS), "bench", KNOWN_AT)
        at_once = seconds(lambda: _hashed(warehouse))
        took, alone, waits = _beside_a_writer(warehouse)
    limit = "the limit of the brief"
    p99 = quantile(waits, 0.99)
    yield Figure("warehouse.writer_beside_check_p99", p99, "s", limit, 1.0, at_most(1))
    rival = "the same merges without a check"
    longest = quantile(alone, 1.0)
    yield Figure(
        "warehouse.writer_beside_check_longest", max(waits), "s", rival, longest, at_most(20)
    )
    once = "every row hashed under one opening"
    yield Figure("warehouse.check", took, "s", once, at_once, at_most(8))


def _hashed(warehouse: MarketWarehouse) -> object:
    with warehouse.store.read() as connection:
        return table_contents(connection)


def _beside_a_writer(warehouse: MarketWarehouse) -> tuple[float, list[float], list[float]]:
    """Return the seconds of a check, of merges without one, and of merges beside it."""
    days = minute_frame(1, SESSIONS + 1).tail(390)
    alone, waits = list[float](), list[float]()
    for number in range(10):
        alone.append(_merge(warehouse, days.assign(symbol=f"A{number}")))
    command = [sys.executable, "-c", CHECK, str(warehouse.path)]
    check = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert check.stdout is not None
        assert check.stdout.readline() == "ready\n"
        started = time.perf_counter()
        while check.poll() is None:
            waits.append(_merge(warehouse, days.assign(symbol=f"B{len(waits)}")))
            time.sleep(PAUSE)
        took = time.perf_counter() - started
    finally:
        check.kill()
        check.wait()
    if check.returncode != 0:
        raise RuntimeError("the check failed")
    return took, alone, waits


def _merge(warehouse: MarketWarehouse, frame: object) -> float:
    return seconds(lambda: warehouse.minutes.merge(frame, "bench", KNOWN_AT))  # pyright: ignore[reportArgumentType]
