"""Real processes against one ledger: one lease holder, no double id, no overfilled parent."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from models.domain.orders import ParentOrder
from warehouse.ledger import OrderLedger

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)

HEAD = """
import json, os, sys
from datetime import UTC, datetime
from decimal import Decimal
from models.domain.errors import HaltTrading, SkipToday
from models.domain.orders import ChildOrder, Side
from warehouse.ledger import OrderLedger
ledger = OrderLedger(sys.argv[1])
me = sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
now = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
"""
TAKE = """
wins = []
for number in range(25):
    try:
        lease = ledger.leases.acquire(
            f"race-{number}", me, pid=os.getpid(), host="h", ttl=60, now=now
        )
        wins.append([number, lease.token])
    except SkipToday:
        pass
print(json.dumps(wins))
"""
SEND = """
sent = []
for number in range(30):
    slice_no = 100 * int(me) + number
    child = ChildOrder("20240102-ml-AAPL", slice_no, 1, "AAPL", Side.BUY, 3, None, "DAY")
    try:
        child = ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=5, at=now)
        sent.append(child.order_id)
    except HaltTrading:
        pass
print(json.dumps(sent))
"""
DIE = """
number = 0
while True:
    child = ChildOrder("20240102-ml-AAPL", number, 1, "AAPL", Side.BUY, 1, None, "DAY")
    ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=now)
    print(child.order_ref, flush=True)
    number += 1
"""


def start(body: str, url: str, names: list[str]) -> list[subprocess.Popen[str]]:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", HEAD + body, url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    return workers


def answers(workers: list[subprocess.Popen[str]]) -> list[list[object]]:
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]


def test_exactly_one_of_two_takers_wins_every_lease(ledger: OrderLedger, ledger_url: str) -> None:
    wins = answers(start(TAKE, ledger_url, ["first", "second"]))
    assert sorted(pair for won in wins for pair in won) == [[n, 1] for n in range(25)]
    assert len(ledger.leases.held(NOW)) == 25


def test_two_senders_share_no_id_and_stay_within_the_parent(
    ledger: OrderLedger, ledger_url: str, make_parent: Callable[..., ParentOrder]
) -> None:
    ledger.parents.add([make_parent(quantity=100)])
    sent = answers(start(SEND, ledger_url, ["1", "2"]))
    ids = sorted(number for some in sent for number in some)
    assert ids == list(range(5, 5 + 33))  # 33 children of 3 shares fit into 100, and no more
    assert sum(c.quantity for c in ledger.children.of_parent("20240102-ml-AAPL")) == 99
    assert ledger.check() == []


def test_what_was_committed_outlives_a_kill(
    ledger: OrderLedger, ledger_url: str, make_parent: Callable[..., ParentOrder]
) -> None:
    ledger.parents.add([make_parent(quantity=100_000)])
    (worker,) = start(DIE, ledger_url, ["1"])
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()
    told = [worker.stdout.readline().strip() for _ in range(40)]
    os.kill(worker.pid, signal.SIGKILL)
    told += worker.stdout.read().split()
    worker.wait(timeout=30)
    stored = [child.order_ref for child in ledger.children.of_parent("20240102-ml-AAPL")]
    assert len(stored) - len(told) in (0, 1)  # the last commit may have died before its line
    assert stored[: len(told)] == told
    assert ledger.check() == []
