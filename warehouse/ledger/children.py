"""Child orders: the committed intents, their order ids and what the broker says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text

from models.domain.errors import HaltTrading, InvalidInput
from models.domain.orders import ChildOrder, ChildState, OrderKind, ParentState, Side
from models.execution.child_state import ChildFacts, Told, take
from warehouse.ledger.attribution import require_reduction
from warehouse.ledger.chain import seal
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text, optional_money, optional_money_text
from warehouse.ledger.halts import require_no_halt
from warehouse.ledger.leases import Lease, require_lease
from warehouse.ledger.parent_room import INSERT_CHILD, PARENT, ROOM
from warehouse.ledger.statements import LedgerConnection, LedgerRow

_OF_SLICE = text(
    "SELECT * FROM children WHERE parent_id = :parent_id AND slice_no = :slice_no ORDER BY attempt"
)
# No row when there is no such parent.
_NEXT_ID = text(
    "SELECT (SELECT COALESCE(MAX(order_id), 0) + 1 FROM order_ids WHERE account = :account "
    "AND client_id = :client_id) AS free FROM parents WHERE parent_id = :parent_id"
)
_OWN_ID = text(
    "INSERT INTO order_ids (account, client_id, order_id, parent_id, slice_no) "
    "VALUES (:account, :client_id, :order_id, :parent_id, :slice_no)"
)
_MAY_SEND = frozenset({ParentState.NEW, ParentState.WORKING})
_GET = text("SELECT * FROM children WHERE order_ref = :order_ref")
_UPDATE = text(
    "UPDATE children SET state = :state, reported = :reported, perm_id = :perm_id, "
    "reason = :reason, sent_at = :sent_at WHERE order_ref = :order_ref"
)
_OPEN = text(
    "SELECT * FROM children WHERE account = :account "
    "AND state NOT IN ('FILLED', 'CANCELLED', 'REJECTED', 'NEVER_SENT') "
    "ORDER BY parent_id, slice_no, attempt"
)
_OF_PARENT = text("SELECT * FROM children WHERE parent_id = :parent_id ORDER BY slice_no, attempt")
# Of the parents of which an order id was given to another attempt of the same API client.
_REISSUED = text(
    "SELECT * FROM children WHERE parent_id IN (SELECT early.parent_id FROM children AS early "
    "JOIN children AS late ON late.parent_id = early.parent_id "
    "AND late.slice_no = early.slice_no AND late.attempt > early.attempt "
    "AND late.order_id = early.order_id AND late.client_id = early.client_id "
    "WHERE early.account = :account AND early.state = 'NEVER_SENT')"
)
_SENT_SINCE = text(
    "SELECT COUNT(*) AS sent FROM children WHERE account = :account AND sent_at >= :since"
)


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """A child with what only the ledger knows: who carried it, since when (UTC), why it is so."""

    order: ChildOrder
    account: str
    client_id: int
    reason: str
    committed_at: datetime


class Children:
    """The child orders of every parent."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def commit_intent(
        self,
        child: ChildOrder,
        client_id: int,
        account: str,
        *,
        next_valid_id: int,
        at: datetime,
        lease: Lease | None = None,
        reduce_only: bool = False,
    ) -> ChildOrder:
        """Store an intent durably, before anything is sent, and return it with its order id.

        `reduce_only` is the way out of a halt: the child may only reduce the account's position.
        One transaction checks for a halt, for the loss of `lease`, for an earlier attempt that is
        not proven dead, and for the parent's room. An id belongs to its slice for ever: an
        attempt after NEVER_SENT takes it again, any other takes the greatest of the broker's
        `next_valid_id` and the ledger's last id + 1. Committing the same INTENT again returns it.
        Raises HaltTrading, or SkipToday when the lease is another's by now.
        """
        with self._store.write() as connection:
            if reduce_only:
                require_reduction(self._store, child, account)
            else:
                require_no_halt(connection, child.symbol)
            if lease is not None:
                require_lease(connection, lease)
            key = {"parent_id": child.parent_id, "slice_no": child.slice_no}
            attempts = connection.execute(_OF_SLICE, key).all()
            for row in attempts:
                if row.attempt == child.attempt:
                    return _same_intent(row, child, client_id, account)
            owner = key | {"account": account, "client_id": client_id}
            order_id = _reusable_id(attempts, account, client_id, child)
            if order_id is None:
                order_id = max(next_valid_id, _next_id(connection, owner))
                connection.execute(_OWN_ID, owner | {"order_id": order_id})
            _insert_intent(connection, child, owner | {"order_id": order_id}, at)
            return replace(
                child, state=ChildState.INTENT, filled=0, order_id=order_id, perm_id=None
            )

    def mark_sent(self, order_ref: str, at: datetime) -> ChildOrder:
        """Note that an intent goes to the socket at `at` (UTC)."""
        return self._evidence(order_ref, ChildState.SENT, sent_at=moment_text(at))

    def record_status(
        self,
        order_ref: str,
        state: ChildState,
        filled: int = 0,
        perm_id: int | None = None,
        reason: str = "",
    ) -> ChildOrder:
        """Note an order status: `filled` is the broker's cumulative figure in shares.

        The figure counts against the parent at once, also before its executions have come (FILLED
        means the whole quantity). A terminal state stays; NEVER_SENT is not taken for a child that
        the broker has shown. Raises InvalidInput for an order that is not in the ledger.
        """
        return self._evidence(order_ref, state, filled=filled, perm_id=perm_id, reason=reason)

    def get(self, order_ref: str) -> ChildRecord | None:
        """Return one child, or None when the ledger has none of that reference."""
        with self._store.read() as connection:
            row = connection.execute(_GET, {"order_ref": order_ref}).one_or_none()
        return None if row is None else _record(row)

    def require(self, order_ref: str) -> ChildRecord:
        """Return one child; raises InvalidInput when the ledger has none of that reference."""
        with self._store.read() as connection:
            return _record(_require(connection, order_ref))

    def names_own(self, order_ref: str) -> bool:
        """Say whether an orderRef (parent.slice.attempt) names a parent of this ledger."""
        parts = order_ref.rsplit(".", 2)
        with self._store.read() as connection:
            row = connection.execute(PARENT, {"parent_id": parts[0]}).one_or_none()
        return row is not None and len(parts) == 3

    def open_children(self, account: str) -> tuple[ChildOrder, ...]:
        """Return every child of the account that is not proven dead."""
        with self._store.read() as connection:
            return tuple(_child(row) for row in connection.execute(_OPEN, {"account": account}))

    def of_parent(self, parent_id: str) -> tuple[ChildOrder, ...]:
        """Return the children of a parent by slice and attempt."""
        with self._store.read() as connection:
            rows = connection.execute(_OF_PARENT, {"parent_id": parent_id}).all()
        return tuple(_child(row) for row in rows)

    def reissued(self, account: str) -> dict[str, ChildOrder]:
        """Return, by orderRef, every child of the parents that gave an order id a second time."""
        with self._store.read() as connection:
            found = [_child(row) for row in connection.execute(_REISSUED, {"account": account})]
        return {child.order_ref: child for child in found}

    def sent_since(self, account: str, since: datetime) -> int:
        """Count the children sent at or after `since` (UTC), for the limit of orders a minute."""
        key = {"account": account, "since": moment_text(since)}
        with self._store.read() as connection:
            return int(connection.execute(_SENT_SINCE, key).scalar_one())

    def _evidence(
        self,
        order_ref: str,
        told: ChildState,
        *,
        filled: int = 0,
        perm_id: int | None = None,
        reason: str = "",
        sent_at: str | None = None,
    ) -> ChildOrder:
        with self._store.write() as connection:
            row = _require(connection, order_ref)
            after = take(facts_of(row), Told(told, filled))
            changes = {
                "order_ref": order_ref,
                "state": after.state.value,
                "reported": after.reported,
                "perm_id": row.perm_id or perm_id or None,
                "reason": reason or row.reason,
                "sent_at": row.sent_at or sent_at,
            }
            connection.execute(_UPDATE, changes)
            return _child(_require(connection, order_ref))


def facts_of(row: LedgerRow) -> ChildFacts:
    """Return what a row of the children's table knows, as the state machine takes it."""
    return ChildFacts(row.quantity, ChildState(row.state), row.reported, row.gross, row.executed)


def _reusable_id(
    attempts: Sequence[LedgerRow], account: str, client_id: int, child: ChildOrder
) -> int | None:
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
    same_client = (last.account, last.client_id) == (account, client_id)
    return int(last.order_id) if never_arrived and same_client else None


def _same_intent(row: LedgerRow, child: ChildOrder, client_id: int, account: str) -> ChildOrder:
    stored = _child(row)
    wanted, found = _content(child), _content(stored)
    if stored.state is not ChildState.INTENT:
        raise HaltTrading(
            f"{child.order_ref} is already {stored.state} and must not be sent again; "
            "run robo reconcile, then let the session take the next attempt"
        )
    if wanted != found or (row.account, row.client_id) != (account, client_id):
        raise HaltTrading(
            f"{child.order_ref} is already committed with other content {found}; "
            "run robo reconcile and look at the child orders"
        )
    return stored


def _content(child: ChildOrder) -> tuple[object, ...]:
    order = (child.symbol, child.side, child.quantity, child.limit_price, child.tif)
    return (*order, child.kind, child.stop_price, child.oca_group)


def _next_id(connection: LedgerConnection, owner: dict[str, Any]) -> int:
    """Return the id after the ledger's last one; raises InvalidInput when there is no parent."""
    free = connection.execute(_NEXT_ID, owner).scalar_one_or_none()
    if free is None:
        raise InvalidInput(
            f"there is no parent order {owner['parent_id']} in the ledger; run robo rebalance first"
        )
    return int(free)


def _insert_intent(
    connection: LedgerConnection, child: ChildOrder, owner: dict[str, Any], at: datetime
) -> None:
    row = owner | {
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
        "committed_at": moment_text(at),
    }
    if connection.execute(INSERT_CHILD, row).rowcount == 1:
        seal(connection, "children", [row])
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


def _require(connection: LedgerConnection, order_ref: str) -> LedgerRow:
    row = connection.execute(_GET, {"order_ref": order_ref}).one_or_none()
    if row is None:
        raise InvalidInput(
            f"there is no child order {order_ref!r} in the ledger: it is not this system's, or "
            "another ledger was opened; look at ROBO_LEDGER_URL"
        )
    return row


def _record(row: LedgerRow) -> ChildRecord:
    committed_at = moment_of(row.committed_at)
    return ChildRecord(_child(row), row.account, row.client_id, row.reason, committed_at)


def _child(row: LedgerRow) -> ChildOrder:
    return ChildOrder(
        parent_id=row.parent_id,
        slice_no=row.slice_no,
        attempt=row.attempt,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        limit_price=optional_money(row.limit_price),
        tif=row.tif,
        state=ChildState(row.state),
        filled=row.executed + max(0, row.reported - row.gross),
        order_id=row.order_id,
        perm_id=row.perm_id,
        kind=OrderKind(row.kind),
        stop_price=optional_money(row.stop_price),
        oca_group=row.oca_group,
    )
