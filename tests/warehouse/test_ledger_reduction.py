"""The way out of a halt: children that only reduce, and whose position it is."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from parent_orders import parent_order

from models.domain.errors import HaltTrading
from models.domain.orders import ChildOrder, ChildState, Fill, Side
from models.execution.differences import position_differences
from models.portfolio.lots import Split
from warehouse.ledger import OrderLedger
from warehouse.ledger.adjustments import Acceptance
from warehouse.ledger.working_versions import WorkingVersion

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
ACCOUNT = "SIM0000001"


def fill(ledger, exec_id, ref, side, shares):
    at = NOW + timedelta(minutes=1)
    ledger.executions.record(Fill(exec_id, ref, "KO", side, shares, Decimal(50), at, 5), ACCOUNT)


def commit(ledger, parent_id, side, shares, **fields):
    ledger.parents.add([parent_order(NOW, parent_id=parent_id, side=side, quantity=1000)])
    child = ChildOrder(parent_id, 1, 1, "KO", side, shares, Decimal(50), "IOC")
    return ledger.children.commit_intent(child, 11, ACCOUNT, next_valid_id=1, at=NOW, **fields)


@pytest.fixture
def held(ledger: OrderLedger) -> OrderLedger:
    """100 shares bought by this system, 30 before it and 20 by hand; trading halted."""
    ledger.accounts.record_opening(ACCOUNT, Decimal(1000), {"KO": 30}, NOW)
    bought = commit(ledger, "buy", Side.BUY, 100)
    fill(ledger, "e1.01", bought.order_ref, Side.BUY, 100)
    fill(ledger, "e2.01", "", Side.BUY, 20)
    ledger.halts.halt("enough", "me", NOW)
    return ledger


def test_own_positions_leave_out_what_came_from_elsewhere(held: OrderLedger) -> None:
    assert held.executions.positions(ACCOUNT) == {"KO": 150}
    assert held.attribution.own_positions(ACCOUNT) == {"KO": 100}


@pytest.mark.parametrize(("new", "old", "own"), [(2, 1, 190), (1, 8, 2)])
def test_own_positions_go_through_a_split(held: OrderLedger, new: int, old: int, own: int) -> None:
    """What was sold after it, 10, is in the shares of then."""
    at = NOW + timedelta(hours=1)
    [difference] = held.differences.observe(
        ACCOUNT, position_differences({"KO": 150}, {"KO": 150 * new // old}), at
    )
    accepted = Acceptance(difference.number, "a split", "me", at)
    shares = 150 * new // old - 150
    held.adjustments.add_shares(ACCOUNT, "KO", shares, accepted, Split("KO", at, new, old))
    sold = Fill("e9.01", "buy.1.1", "KO", Side.SELL, 10, Decimal(50), at + timedelta(hours=1), 5)
    held.executions.record(sold, ACCOUNT)
    assert held.attribution.own_positions(ACCOUNT) == {"KO": own}


def test_a_halt_lets_through_only_what_reduces(held: OrderLedger) -> None:
    with pytest.raises(HaltTrading, match="halted by me"):
        commit(held, "a", Side.SELL, 10)
    with pytest.raises(HaltTrading, match="more than reduce"):
        commit(held, "b", Side.BUY, 1, reduce_only=True)
    with pytest.raises(HaltTrading, match="150 shares are held and 0 more"):
        commit(held, "c", Side.SELL, 151, reduce_only=True)
    assert commit(held, "d", Side.SELL, 150, reduce_only=True).quantity == 150


def test_what_may_still_fill_counts_against_the_room(held: OrderLedger) -> None:
    first = commit(held, "a", Side.SELL, 100, reduce_only=True)
    assert held.attribution.coming(ACCOUNT, "KO", Side.SELL) == 100
    with pytest.raises(HaltTrading, match="150 shares are held and 100 more"):
        commit(held, "b", Side.SELL, 51, reduce_only=True)
    held.children.record_status(first.order_ref, ChildState.FILLED, 100)
    assert held.attribution.coming(ACCOUNT, "KO", Side.SELL) == 100, "its execution has not come"
    fill(held, "e3.01", first.order_ref, Side.SELL, 100)
    assert held.attribution.coming(ACCOUNT, "KO", Side.SELL) == 0
    with pytest.raises(HaltTrading, match="50 shares are held and 0 more"):
        commit(held, "b", Side.SELL, 51, reduce_only=True)
    assert commit(held, "b", Side.SELL, 50, reduce_only=True).quantity == 50


def test_a_version_is_noted_once_and_others_are_let_in_beside_it(ledger: OrderLedger) -> None:
    day, old, new = date(2024, 1, 2), WorkingVersion("aa", "l1"), WorkingVersion("bb", "l1")
    assert ledger.versions.of_session(day) == ()
    ledger.versions.note(day, old, NOW)
    ledger.versions.note(day, old, NOW + timedelta(hours=1))
    assert ledger.versions.of_session(day) == (old,)
    ledger.versions.note(day, new, NOW + timedelta(hours=2), accepted_by="me")
    assert ledger.versions.of_session(day) == (old, new)
    assert ledger.versions.of_session(date(2024, 1, 3)) == ()
    assert str(new) == "code bb, limits l1"
