"""Orders at the broker that this system did not place: seen once, attributed, never touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from models.execution.differences import WorkingOrder
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text

_INSERT = text(
    "INSERT INTO external_orders (account, perm_id, client_id, order_id, order_ref, symbol, "
    "remaining, origin, first_seen_at) VALUES (:account, :perm_id, :client_id, :order_id, "
    ":order_ref, :symbol, :remaining, :origin, :at) ON CONFLICT (account, perm_id) DO NOTHING"
)
_ALL = text("SELECT * FROM external_orders WHERE account = :account ORDER BY perm_id")


@dataclass(frozen=True, slots=True)
class ExternalOrder:
    """One such order as it was first seen (UTC); `origin` says who placed it."""

    order: WorkingOrder
    origin: str
    first_seen_at: datetime


class ExternalOrders:
    """The external orders of every account."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def note(self, account: str, order: WorkingOrder, at: datetime) -> None:
        """Keep an order as somebody else's, once; one without a permId cannot be told apart."""
        row = {
            "account": account,
            "perm_id": order.perm_id,
            "client_id": order.client_id,
            "order_id": order.order_id,
            "order_ref": order.order_ref,
            "symbol": order.symbol,
            "remaining": order.remaining,
            "origin": order.origin,
            "at": moment_text(at),
        }
        if order.perm_id:
            with self._store.write() as connection:
                connection.execute(_INSERT, row)

    def of_account(self, account: str) -> tuple[ExternalOrder, ...]:
        """Return every external order ever seen in an account, by permId."""
        with self._store.read() as connection:
            rows = connection.execute(_ALL, {"account": account}).all()
        return tuple(
            ExternalOrder(
                WorkingOrder(
                    row.order_ref,
                    row.perm_id,
                    row.client_id,
                    row.order_id,
                    row.symbol,
                    row.remaining,
                ),
                row.origin,
                moment_of(row.first_seen_at),
            )
            for row in rows
        )
