"""What the absence of an order at the broker proves: nothing of another day than the present."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.orders import ChildOrder, ChildState, OrderKind
from tasks.session.exits import ExitKeeper
from tasks.session.recovery import recover


@pytest.mark.parametrize(("age", "state"), [(0, ChildState.NEVER_SENT), (1, ChildState.UNKNOWN)])
async def test_an_attempt_of_today_is_proven_absent_though_its_exit_is_older(
    start_desk, make_parent, broker, minute, ledger, age, state
):
    """The broker shows the day of the attempt; when its parent was planned does not matter."""
    now = minute(5)
    before = now - timedelta(days=1)
    old = replace(
        make_parent("KO"),
        parent_id="20221228-exit-KO-1",
        session=before.date(),
        strategy="exits",
        algo="EXIT",
        decided_at=before,
        end=now + timedelta(days=80),
    )
    ledger.parents.add([old])
    child = ChildOrder(
        old.parent_id,
        1,
        1,
        "KO",
        old.side,
        old.quantity,
        None,
        "GTC",
        kind=OrderKind.STOP,
        stop_price=Decimal(40),
        oca_group=old.parent_id,
    )
    at = now - timedelta(days=age)
    ledger.children.commit_intent(child, broker.client_id, broker.account, next_valid_id=7, at=at)
    desk = start_desk()
    ExitKeeper(desk).load()
    await recover(desk, 0)
    assert desk.child(child.order_ref).state is state
