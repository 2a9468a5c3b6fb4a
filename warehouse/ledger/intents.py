"""An intent and what let it pass, in one row: committed before anything goes to the broker.

An order waits for this transaction, so one statement looks at all that may be in its way, and a
second look, which tells what it is, is taken only where there is something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from models.domain.errors import HaltTrading, InvalidInput
from models.domain.orders import ChildOrder, ChildState, ParentState
from warehouse.ledger.chain import ChainHead, head_of, seal
from warehouse.ledger.child_rows import child_of
from warehouse.ledger.encoding import list_text, moment_text, optional_money_text
from warehouse.ledger.halts import require_no_halt
from warehouse.ledger.leases import Lease, require_lease
from warehouse.ledger.parent_room import INSERT_CHILD, ROOM
from warehouse.ledger.statements import LedgerConnection, LedgerRow

# No row when there is no such parent.
_LOOK = text(
    "SELECT (SELECT COUNT(*) FROM halts WHERE resumed_at IS NULL AND symbol IN ('', :symbol)) "
    "AS halts, (SELECT token FROM leases WHERE name = :lease AND released = 0) AS token, "
    "(SELECT COUNT(*) FROM children WHERE parent_id = :parent_id AND slice_no = :slice_no) "
    "AS attempts, (SELECT COALESCE(MAX(order_id), 0) + 1 FROM order_ids WHERE account = :account "
    "AND client_id = :client_id) AS free, (SELECT MAX(seq) FROM chain) AS seq, "
    "(SELECT digest FROM chain ORDER BY seq DESC LIMIT 1) AS digest "
    "FROM parents WHERE parent_id = :parent_id"
)
_OF_SLICE = text(
    "SELECT * FROM children WHERE parent_id = :parent_id AND slice_no = :slice_no ORDER BY attempt"
)
_OWN_ID = text(
    "INSERT INTO order_ids (account, client_id, order_id, parent_id, slice_no) "
    "VALUES (:account, :client_id, :order_id, :parent_id, :slice_no)"
)
_MAY_SEND = frozenset({ParentState.NEW, ParentState.WORKING})


class Sender(NamedTuple):
    """Who carries an intent: account, API client, the broker's next order id, and the lease."""

    account: str
    client_id: int
    next_valid_id: int
    lease: Lease | None


def store_intent(
    connection: LedgerConnection,
    child: ChildOrder,
    sender: Sender,
    checks: Sequence[object],
    at: datetime,
    *,
    in_halt: bool,
) -> ChildOrder:
    """Store an intent inside a write transaction and return it with its order id.

    `in_halt` stores it even in a halt. Raises as `Children.commit_intent` does.
    """
    owner: dict[str, Any] = {
        "parent_id": child.parent_id,
        "slice_no": child.slice_no,
        "account": sender.account,
        "client_id": sender.client_id,
    }
    lease = sender.lease
    look = connection.execute(
        _LOOK, owner | {"symbol": child.symbol, "lease": "" if lease is None else lease.name}
    ).one_or_none()
    if not in_halt and (look is None or look.halts):
        require_no_halt(connection, child.symbol)
    if lease is not None and (look is None or look.token != lease.token):
        require_lease(connection, lease)
    if look is None:
        raise InvalidInput(
            f"there is no parent order {child.parent_id} in the ledger; run robo rebalance first"
        )
    attempts = connection.execute(_OF_SLICE, owner).all() if look.attempts else ()
    for row in attempts:
        if row.attempt == child.attempt:
            return _same_intent(row, child, sender)
    order_id = _reusable_id(attempts, child, sender)
    if order_id is None:
        order_id = max(sender.next_valid_id, int(look.free))
        connection.execute(_OWN_ID, owner | {"order_id": order_id})
    own = owner | {"order_id": order_id, "committed_at": moment_text(at)}
    own["checks"] = list_text(checks) if checks else None
    _insert(connection, child, own, head_of(look))
    return replace(child, state=ChildState.INTENT, filled=0, order_id=order_id, perm_id=None)


def _reusable_id(attempts: Sequence[LedgerRow], child: ChildOrder, sender: Sender) -> int | None:
    for row in attempts:
        if not ChildState(row.state).is_terminal:
            raise HaltTrading(
                f"{row.order_ref} is {row.state}, not proven dead: sending {child.order_ref} could "
                "double it; run robo reconcile first"
            )
    if not attempts:
        return None
    last = attempts[-1]
    never_arrived = last.state == ChildState.NEVER_SENT.value
    same_client = (last.account, last.client_id) == (sender.account, sender.client_id)
    return int(last.order_id) if never_arrived and same_client else None


def _same_intent(row: LedgerRow, child: ChildOrder, sender: Sender) -> ChildOrder:
    stored = child_of(row)
    wanted, found = _content(child), _content(stored)
    if stored.state is not ChildState.INTENT:
        raise HaltTrading(
            f"{child.order_ref} is already {stored.state} and must not be sent again; "
            "run robo reconcile, then let the session take the next attempt"
        )
    if wanted != found or (row.account, row.client_id) != (sender.account, sender.client_id):
        raise HaltTrading(
            f"{child.order_ref} is already committed with other content {found}; "
            "run robo reconcile and look at the child orders"
        )
    return stored


def _content(child: ChildOrder) -> tuple[object, ...]:
    order = (child.symbol, child.side, child.quantity, child.limit_price, child.tif)
    return (*order, child.kind, child.stop_price, child.oca_group)


def _insert(
    connection: LedgerConnection, child: ChildOrder, own: dict[str, Any], head: ChainHead
) -> None:
    row = own | {
        "order_ref": child.order_ref,
        "attempt": child.attempt,
        "symbol": child.symbol,
        "side": child.side.value,
        "quantity": child.quantity,
        "limit_price": optional_money_text(child.limit_price),
        "tif": child.tif,
        "kind": child.kind.value,
        "stop_price": optional_money_text(child.stop_price),
        "oca_group": child.oca_group,
    }
    if connection.execute(INSERT_CHILD, row).rowcount == 1:
        seal(connection, "children", [row], head)
        return
    parent = connection.execute(ROOM, {"parent_id": child.parent_id}).one()
    refused = f"{child.order_ref} ({child.side} {child.quantity} {child.symbol}) is refused"
    if ParentState(parent.state) not in _MAY_SEND:
        raise HaltTrading(
            f"{refused}: its parent is {parent.state}, and only a NEW or WORKING parent may send; "
            "look at it with robo status, and run robo resume if it is PAUSED"
        )
    raise HaltTrading(
        f"{refused}: its parent is {parent.side} {parent.quantity} {parent.symbol}, of which "
        f"{parent.exposure} are filled or may still fill; run robo reconcile before trading on"
    )
