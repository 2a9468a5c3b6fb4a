"""What is noted of a parent while it is worked: its number of slices and its benchmark prices."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlalchemy import text

from warehouse.ledger.chain import seal
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_text, money_text

Moment = Literal["arrival", "end"]

_SLICES = text("SELECT slices FROM parent_schedules WHERE parent_id = :parent_id")
_NOTE_SLICES = text(
    "INSERT INTO parent_schedules (parent_id, slices, noted_at) "
    "VALUES (:parent_id, :slices, :at) ON CONFLICT (parent_id) DO NOTHING"
)
_MID = text("SELECT mid FROM parent_mids WHERE parent_id = :parent_id AND moment = :moment")
_NOTE_MID = text(
    "INSERT INTO parent_mids (parent_id, moment, mid, noted_at) "
    "VALUES (:parent_id, :moment, :mid, :noted_at) ON CONFLICT (parent_id, moment) DO NOTHING"
)


class WorkedParents:
    """The notes on every parent that was worked; the first of each kind stays for ever."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def slices(self, parent_id: str) -> int | None:
        """Return how many slices the parent was first scheduled in, or None before that."""
        with self._store.read() as connection:
            found = connection.execute(_SLICES, {"parent_id": parent_id}).scalar_one_or_none()
        return None if found is None else int(found)

    def note_slices(self, parent_id: str, slices: int, at: datetime) -> None:
        """Keep the number of slices of a parent, noted at `at` (UTC), unless one is known."""
        row = {"parent_id": parent_id, "slices": slices, "at": moment_text(at)}
        with self._store.write() as connection:
            connection.execute(_NOTE_SLICES, row)

    def mid(self, parent_id: str, moment: Moment) -> Decimal | None:
        """Return the mid (USD a share) noted at the parent's arrival or end, or None."""
        key = {"parent_id": parent_id, "moment": moment}
        with self._store.read() as connection:
            found = connection.execute(_MID, key).scalar_one_or_none()
        return None if found is None else Decimal(found)

    def note_mid(self, parent_id: str, moment: Moment, mid: Decimal, at: datetime) -> None:
        """Keep the mid (USD a share) at `at` (UTC), unless one is known for that moment."""
        row = {
            "parent_id": parent_id,
            "moment": moment,
            "mid": money_text(mid),
            "noted_at": moment_text(at),
        }
        with self._store.write() as connection:
            if connection.execute(_NOTE_MID, row).rowcount:
                seal(connection, "parent_mids", [row])
