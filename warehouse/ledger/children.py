"""Child orders: the committed intents, their order ids and what the broker says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from models.domain.errors import InvalidInput
from models.domain.orders import ChildOrder, ChildState
from models.execution.child_state import Told, take
from warehouse.ledger.attribution import require_reduction
from warehouse.ledger.child_rows import child_of, facts_of
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text
from warehouse.ledger.intents import Sender, store_intent
from warehouse.ledger.leases import Lease
from warehouse.ledger.parent_room import PARENT
from warehouse.ledger.statements import LedgerConnection, LedgerRow

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
        checks: Sequence[object] = (),
        urgent: bool = False,
    ) -> ChildOrder:
        """Store an intent durably, before anything is sent, and return it with its order id.

        `reduce_only` is the way out of a halt: the child may only reduce the account's position.
        `checks`, anything that JSON can hold, are what let it pass: they are in the same row and
        under the same digest. `urgent` leaves the upkeep of a SQLite file to a later transaction.
        One transaction checks for a halt, for the loss of `lease`, for an earlier attempt that is
        not proven dead, and for the parent's room. An id belongs to its slice for ever: an
        attempt after NEVER_SENT takes it again, any other takes the greatest of the broker's
        `next_valid_id` and the ledger's last id + 1. Committing the same INTENT again returns it.
        Raises HaltTrading, or SkipToday when the lease is another's by now.
        """
        sender = Sender(account, client_id, next_valid_id, lease)
        with self._store.write(urgent=urgent) as connection:
            if reduce_only:
                require_reduction(self._store, child, account)
            return store_intent(connection, child, sender, checks, at, in_halt=reduce_only)

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
            return tuple(child_of(row) for row in connection.execute(_OPEN, {"account": account}))

    def of_parent(self, parent_id: str) -> tuple[ChildOrder, ...]:
        """Return the children of a parent by slice and attempt."""
        with self._store.read() as connection:
            rows = connection.execute(_OF_PARENT, {"parent_id": parent_id}).all()
        return tuple(child_of(row) for row in rows)

    def reissued(self, account: str) -> dict[str, ChildOrder]:
        """Return, by orderRef, every child of the parents that gave an order id a second time."""
        with self._store.read() as connection:
            found = [child_of(row) for row in connection.execute(_REISSUED, {"account": account})]
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
            return child_of(_require(connection, order_ref))


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
    return ChildRecord(child_of(row), row.account, row.client_id, row.reason, committed_at)
