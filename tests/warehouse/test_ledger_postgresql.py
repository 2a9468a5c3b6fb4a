"""Where the other ledger tests also run on PostgreSQL, and what only it has."""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from models.domain.errors import RetryLater
from models.domain.orders import ParentOrder
from warehouse.ledger import OrderLedger

URL = os.environ.get("LEDGER_TEST_URL", "")
pytestmark = pytest.mark.skipif(
    not URL, reason="set LEDGER_TEST_URL to an empty PostgreSQL database (its schema is dropped)"
)
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
