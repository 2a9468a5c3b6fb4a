"""What only PostgreSQL has: turns by advisory lock, and crashes of a client or of the server.

Every other test of the ledger runs on it too (see conftest.py).
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from models.domain.errors import HaltTrading, RetryLater
from models.domain.orders import ChildOrder, ParentOrder
from warehouse.ledger import OrderLedger

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_writers_take_turns_and_readers_go_on(
    ledger_url: str, make_parent: Callable[..., ParentOrder]
) -> None:
    with OrderLedger(ledger_url) as first, OrderLedger(ledger_url, deadline=0.2) as second:
        entered, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with first.transaction():
                first.parents.add([make_parent()])
                entered.set()
                leave.wait(10)

        holder = threading.Thread(target=hold)
        holder.start()
        assert entered.wait(10)
        with pytest.raises(RetryLater):
            second.halts.halt("x", "y", NOW)
        assert second.parents.of_session(make_parent().session) == ()
        leave.set()
        holder.join()
        assert len(second.parents.of_session(make_parent().session)) == 1


def test_an_unreachable_server_is_to_be_retried() -> None:
    with pytest.raises(RetryLater, match=r"does not answer.*\*\*\*|\*\*\*.*does not answer"):
        OrderLedger("postgresql+psycopg://user:secret@127.0.0.1:1/nothing", deadline=0.2)


HOLD = """
import sys
from datetime import UTC, datetime
from models.domain.orders import ChildOrder, Side
from warehouse.ledger import OrderLedger
ledger = OrderLedger(sys.argv[1])
now = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
def commit(slice_no):
    child = ChildOrder("20240102-ml-AAPL", slice_no, 1, "AAPL", Side.BUY, 10, None, "DAY")
    return ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=now)
print(commit(0).order_ref, flush=True)
with ledger.transaction():
    commit(1)
    print("in the middle", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_client_killed_in_its_transaction_leaves_nothing_of_it_and_no_lock(
    ledger_url: str, ledger: OrderLedger, make_parent: Callable[..., ParentOrder]
) -> None:
    ledger.parents.add([make_parent()])
    client = subprocess.Popen(
        [sys.executable, "-c", HOLD, ledger_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "20240102-ml-AAPL.0.1\n"
    assert client.stdout.readline() == "in the middle\n"
    os.kill(client.pid, signal.SIGKILL)
    client.communicate(timeout=30)
    ledger.halts.halt("the lock is free again", "test", NOW)  # within the deadline of 5 s
    assert [c.slice_no for c in ledger.children.of_parent("20240102-ml-AAPL")] == [0]
    assert ledger.check() == []


def test_a_killed_server_keeps_what_was_committed_and_nothing_else(
    postgres_server: Any,
    postgres_url: str,
    make_parent: Callable[..., ParentOrder],
    make_child: Callable[..., ChildOrder],
) -> None:
    if postgres_server.url != postgres_url:
        pytest.skip("LEDGER_TEST_URL names a server that is not this test's to kill")
    with OrderLedger(postgres_url, deadline=5.0) as ledger:
        ledger.parents.add([make_parent()])

        def commit(slice_no: int) -> None:
            child = make_child(slice_no)
            ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=1, at=NOW)

        commit(0)
        with pytest.raises(RetryLater, match="start the database and try again"):
            with ledger.transaction():
                commit(1)
                postgres_server.kill()
                commit(2)
        with pytest.raises(RetryLater, match="start the database and try again"):
            commit(3)  # no journal, so nothing that could be sent
        postgres_server.start()
        commit(4)  # the same object goes on: its pool notices the new server
        stored = ledger.children.of_parent("20240102-ml-AAPL")
        assert [child.slice_no for child in stored] == [0, 4]
        assert [child.order_id for child in stored] == [1, 2]
        assert ledger.check() == []
        with pytest.raises(HaltTrading):
            ledger.children.commit_intent(
                make_child(4, attempt=2), 11, "SIM1", next_valid_id=1, at=NOW
            )
