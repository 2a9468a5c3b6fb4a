"""What a gateway must not forget, in one SQLite file: written before anything is acknowledged."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from dataclasses import astuple, fields
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from gateway.codec.place_order import DECIMAL_FIELDS
from gateway.engine.account import Account, Position
from gateway.engine.orders import Changes, Execution, Order
from gateway.market.book import Disturbance
from models.domain.errors import InvalidInput, RetryLater

SCHEMA_VERSION = 4
SAME_BUT_FOR_DEFAULTS = frozenset({3})  # schemas whose state is read as it is
CHECKPOINT_PAGES = 8192  # 32 MB: a checkpoint waits for the disk, and orders wait for it
_SCHEMA = """
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL);
CREATE TABLE orders (perm_id INTEGER PRIMARY KEY, client_id INTEGER NOT NULL,
  order_id INTEGER NOT NULL, working INTEGER NOT NULL, done_at INTEGER NOT NULL,
  request TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE executions (exec_id TEXT PRIMARY KEY, at INTEGER NOT NULL, reported INTEGER NOT NULL,
  state TEXT NOT NULL);
CREATE TABLE positions (col INTEGER PRIMARY KEY, shares INTEGER, basis INTEGER, realized INTEGER,
  flow INTEGER, opening INTEGER);
CREATE TABLE books (col INTEGER PRIMARY KEY, at INTEGER, permanent REAL, flow REAL,
  taken_bid REAL, taken_ask REAL);
CREATE TABLE impact (col INTEGER, at INTEGER, permanent REAL, PRIMARY KEY (col, at));
CREATE TABLE clients (client_id INTEGER PRIMARY KEY, next_id INTEGER NOT NULL);
"""
_ORDER_FIELDS = tuple(f.name for f in fields(Order) if not f.name.startswith("request"))


class Journal:
    """The state file of one gateway process, which it locks for as long as it runs."""

    def __init__(self, folder: Path, reset: bool = False) -> None:
        """Open (or create) the state in `folder`.

        Raises RetryLater when another gateway holds it, InvalidInput when it cannot be used.
        """
        self.path = folder / "gateway.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder / "gateway.lock")
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            if reset:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            self._db = sqlite3.connect(self.path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            self._lock.close()
            raise _unusable(folder, error) from error
        except InvalidInput:
            self._lock.close()
            raise

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
        elif version in SAME_BUT_FOR_DEFAULTS:
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise InvalidInput(
                f"{self.path} was written by another version of this gateway (schema {version}, "
                f"this is {SCHEMA_VERSION}), so its market cannot go on. Where a ledger and bars "
                "belong to that market (robo keeps them in the folder above), move the whole of it "
                "away and start again; else start with --reset --yes, or name another --state-dir"
            )

    def meta(self) -> dict[str, int]:
        """Return the clock, the cash and the counters; empty on the first start."""
        row = self._db.execute("SELECT state FROM meta").fetchone()
        return json.loads(row[0]) if row else {}

    def save(
        self,
        changes: Changes,
        meta: dict[str, int],
        account: Account,
        books: list[Disturbance],
        clients: dict[int, int],
    ) -> None:
        """Write one action in one transaction; once this returns it survives a kill -9."""
        run = self._db.execute
        run("BEGIN IMMEDIATE")
        try:
            self._save_orders(changes)
            for column in changes.positions:
                row = (column, *astuple(account.positions[column]))
                run("INSERT OR REPLACE INTO positions VALUES (?,?,?,?,?,?)", row)
            for column in changes.books:
                book = books[column]
                run(
                    "INSERT OR REPLACE INTO books VALUES (?,?,?,?,?,?)",
                    (column, book.at, book.permanent, book.flow, book.taken_bid, book.taken_ask),
                )
                step = (column, book.at, book.permanent)
                run("INSERT OR REPLACE INTO impact VALUES (?,?,?)", step)
            for pair in clients.items():
                run("INSERT OR REPLACE INTO clients VALUES (?,?)", pair)
            run("INSERT OR REPLACE INTO meta VALUES (1,?)", (json.dumps(meta),))
            run("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                run("ROLLBACK")
            raise

    def _save_orders(self, changes: Changes) -> None:
        for order in changes.orders.values():
            state = {name: getattr(order, name) for name in _ORDER_FIELDS}
            if not order.request_text:
                order.request_text = json.dumps(order.request, default=str)
            state["expires"] = order.expires.isoformat() if order.expires else None
            self._db.execute(
                "INSERT OR REPLACE INTO orders VALUES (?,?,?,?,?,?,?)",
                (
                    order.perm_id,
                    order.client_id,
                    order.order_id,
                    order.is_working,
                    order.done_at,
                    order.request_text,
                    json.dumps(state),
                ),
            )
        for execution in changes.executions.values():
            state = json.dumps({f.name: getattr(execution, f.name) for f in fields(Execution)})
            row = (execution.exec_id, execution.at, execution.reported, state)
            self._db.execute("INSERT OR REPLACE INTO executions VALUES (?,?,?,?)", row)

    def orders(self, since: int) -> list[Order]:
        """Return working orders, and those done at or after `since` (microseconds)."""
        rows = self._db.execute(
            "SELECT request, state FROM orders WHERE working OR done_at >= ? ORDER BY perm_id",
            (since,),
        )
        return [_order(json.loads(request), json.loads(state)) for request, state in rows]

    def executions(self, since: int) -> list[Execution]:
        """Return executions at or after `since`, and those whose commission is not reported."""
        rows = self._db.execute(
            "SELECT state FROM executions WHERE at >= ? OR NOT reported ORDER BY exec_id", (since,)
        )
        return [Execution(**json.loads(state)) for (state,) in rows]

    def positions(self) -> dict[int, Position]:
        """Return the positions by instrument column."""
        rows = self._db.execute("SELECT * FROM positions ORDER BY col")
        return {column: Position(*values) for column, *values in rows}

    def books(self) -> dict[int, Disturbance]:
        """Return what client trades have done to each book."""
        rows = self._db.execute("SELECT * FROM books")
        return {column: Disturbance(*values) for column, *values in rows}

    def impact(self) -> list[tuple[int, int, float]]:
        """Return every step of permanent impact: (column, microseconds, log offset)."""
        return list(self._db.execute("SELECT col, at, permanent FROM impact ORDER BY col, at"))

    def clients(self) -> dict[int, int]:
        """Return the next valid order id of every client that has traded."""
        return dict(self._db.execute("SELECT client_id, next_id FROM clients"))

    def close(self) -> None:
        """Close the file and let go of the lock."""
        self._db.close()
        self._lock.close()


def _order(request: dict[str, Any], state: dict[str, Any]) -> Order:
    expires = state.pop("expires")
    for name in DECIMAL_FIELDS & request.keys():
        if request[name] is not None:
            request[name] = Decimal(request[name])
    return Order(request=request, expires=date.fromisoformat(expires) if expires else None, **state)


def _unusable(folder: Path, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"state directory {folder} cannot be used ({error}); give --state-dir a folder that can be "
        "written, or start anew with --reset --yes"
    )


def _locked(path: Path) -> IO[str]:
    stream = path.open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read().strip() or "unknown"
        stream.close()
        raise RetryLater(
            f"another gateway (pid {holder}) uses the state directory {path.parent}; stop it with "
            "`robo gateway stop`, or give this one another --state-dir"
        ) from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream
