"""How long a reader waits while a million bars are merged by another process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, at_most
from bench.timing import quantile
from warehouse.market import MarketWarehouse

INGEST = """
import sys
from datetime import UTC, datetime
from bench.minute_sample import minute_frame
from warehouse.market import MarketWarehouse
frame = minute_frame(10, 257)
warehouse = MarketWarehouse(sys.argv[1], deadline=60)
print("ready", flush=True)
warehouse.minutes.merge(frame, "bench", datetime(2026, 1, 5, tzinfo=UTC))
"""
PAUSE = 0.05  # seconds between two looks, as a page that refreshes does


def measure() -> Iterator[Figure]:
    """Read the last closes again and again beside the merge; the 99th percentile of the waits."""
    waits: list[float] = []
    with tempfile.TemporaryDirectory(prefix="robo-bench-") as name:
        warehouse = MarketWarehouse(Path(name) / "market.duckdb", deadline=60)
        warehouse.check()
        ingest = subprocess.Popen(
            [sys.executable, "-c", INGEST, str(warehouse.path)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert ingest.stdout is not None
            assert ingest.stdout.readline() == "ready\n"
            while ingest.poll() is None:
                started = time.perf_counter()
                warehouse.bars.last_sessions()
                waits.append(time.perf_counter() - started)
                time.sleep(PAUSE)
        finally:
            ingest.kill()
            ingest.wait()
    if ingest.returncode != 0:
        raise RuntimeError("the ingest failed")
    limit = "the limit of the issue"
    p99 = quantile(waits, 0.99)
    yield Figure("warehouse.reader_wait_p99", p99, "s", limit, 1.0, at_most(1))
    median = quantile(waits, 0.5)
    yield Figure("warehouse.reader_wait_median", median, "s", "its p99", p99, at_most(1))
