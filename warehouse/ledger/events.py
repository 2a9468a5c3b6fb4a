"""The append-only journal of what the broker said and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from warehouse.ledger.chain import seal
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import json_of, json_text, moment_of, moment_text
from warehouse.ledger.statements import LedgerRow

_LAST = text("SELECT COALESCE(MAX(id), 0) AS newest FROM broker_events")
_INSERT = text(
    "INSERT INTO broker_events (id, at, kind, order_ref, payload) "
    "VALUES (:id, :at, :kind, :order_ref, :payload)"
)
_SINCE = text("SELECT * FROM broker_events WHERE id > :after ORDER BY id LIMIT :count")
_OF_ORDER = text("SELECT * FROM broker_events WHERE order_ref = :order_ref ORDER BY id")


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One journal row; `id` grows with time, `at` is UTC, `order_ref` may be empty."""

    id: int
    at: datetime
    kind: str
    order_ref: str
    payload: Mapping[str, Any]


class Events:
    """The journal of this ledger."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def append(self, kind: str, order_ref: str, payload: Mapping[str, Any], at: datetime) -> int:
        """Add one event and return its id; decimals and moments in `payload` become text."""
        with self._store.write() as connection:
            number = 1 + int(connection.execute(_LAST).scalar_one())
            row = {
                "id": number,
                "at": moment_text(at),
                "kind": kind,
                "order_ref": order_ref,
                "payload": json_text(payload),
            }
            connection.execute(_INSERT, row)
            seal(connection, "broker_events", [row])
        return number

    def since(self, after: int = 0, count: int = 1000) -> tuple[EventRecord, ...]:
        """Return up to `count` events with an id above `after`, oldest first."""
        with self._store.read() as connection:
            rows = connection.execute(_SINCE, {"after": after, "count": count}).all()
        return tuple(_event(row) for row in rows)

    def of_order(self, order_ref: str) -> tuple[EventRecord, ...]:
        """Return the events of one child order, oldest first."""
        with self._store.read() as connection:
            rows = connection.execute(_OF_ORDER, {"order_ref": order_ref}).all()
        return tuple(_event(row) for row in rows)


def _event(row: LedgerRow) -> EventRecord:
    return EventRecord(row.id, moment_of(row.at), row.kind, row.order_ref, json_of(row.payload))
