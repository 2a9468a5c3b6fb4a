"""What committing an intent costs on PostgreSQL, where a server is installed or named."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bench.figures import Figure, at_most
from bench.parents import one_parent
from bench.timing import Pair, seconds
from models.domain.orders import ChildOrder, Side
from warehouse.ledger import OrderLedger

INTENTS = 300
WARM_UPS = 20
NOW = datetime(2024, 1, 2, 15, tzinfo=UTC)


def measure() -> Iterator[Figure]:
    """Commit 300 intents to a local PostgreSQL with its defaults (fsync on).

    The rival, in turns, is the same on SQLite. Nothing is measured where there is no server.
    """
    with _server() as url, tempfile.TemporaryDirectory(prefix="robo-bench-") as folder:
        if url is None:
            print(
                "no PostgreSQL is installed: ledger.commit_intent_pg is left out", file=sys.stderr
            )
            return
        with OrderLedger(url) as server, OrderLedger(f"sqlite:///{folder}/ledger.sqlite") as file:
            pair = Pair()
            parent = one_parent("p", "KO", 10 * INTENTS, NOW, timedelta(hours=5))
            for ledger in (server, file):
                ledger.parents.add([parent])
            for number in range(INTENTS):
                child = ChildOrder("p", number, 1, "KO", Side.BUY, 10, Decimal(51), "IOC")
                for ledger, times in ((server, pair.candidate), (file, pair.rival)):
                    times.append(seconds(lambda to=ledger, c=child: _commit(to, c)))
    taken, rival = Pair(pair.candidate[WARM_UPS:], pair.rival[WARM_UPS:]).medians
    name = "the same on SQLite"
    yield Figure("ledger.commit_intent_pg", taken * 1e3, "ms", name, rival * 1e3, at_most(10.0))


def _commit(ledger: OrderLedger, child: ChildOrder) -> ChildOrder:
    return ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=NOW)


@contextmanager
def _server() -> Iterator[str | None]:
    """Give the URL of a server of our own on a free loopback port, or None without its programs."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not places:
        yield None
        return
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = next(name for name in ("postgres", "nobody") if name in names)
    folder = Path(tempfile.mkdtemp(prefix="robo-pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = ["-D", str(folder / "data")]

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [str(places[0] / program), *data, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            user=user,
            cwd="/",
        )

    try:
        run("initdb", "-U", "robo", "-A", "trust", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
        run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql+psycopg://robo@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "fast")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
