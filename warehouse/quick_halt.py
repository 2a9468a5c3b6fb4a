"""The halt row without the ledger's machinery, whose import alone takes half a second.

It writes what `warehouse.ledger.halts` writes, into a SQLite ledger of this version's form; for
any other place or form it does nothing, and the ledger itself has to be opened.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from models.domain.halts import HaltCode

SQLITE = "sqlite:///"
_INSERT = (
    "INSERT INTO halts (id, reason, halted_by, halted_at, code, symbol) "
    "SELECT COALESCE(MAX(id), 0) + 1, ?, ?, ?, ?, ? FROM halts"
)


def quick_halt(
    url: str,
    reason: str,
    by: str,
    at: datetime,
    *,
    code: HaltCode,
    symbol: str,
    deadline: float,
) -> bool:
    """Commit a halt from `at` (UTC) on; False when the ledger has to be opened for it.

    Waits `deadline` seconds for another writer. Never creates a file.
    """
    path = Path(url.removeprefix(SQLITE))
    if not url.startswith(SQLITE) or "?" in url or not path.is_file():
        return False
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    try:
        with closing(sqlite3.connect(path, timeout=deadline, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_INSERT, (reason, by, moment, code.value, symbol))
            connection.execute("COMMIT")
    except sqlite3.Error:
        return False
    return True
