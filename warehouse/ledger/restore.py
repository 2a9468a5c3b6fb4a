"""Put a backup in the place of the ledger, and keep what was there.

What happened after the backup was taken is not in it, so the restored ledger starts halted: a
person compares it with the broker before anything is sent again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from models.domain.errors import InvalidInput, RetryLater
from warehouse.lasting_names import sync
from warehouse.ledger.backup import (
    Backup,
    contents,
    copy_database,
    sha256_of,
    storage_faults,
    write_backup,
)
from warehouse.ledger.connection import MIGRATIONS, LedgerStore
from warehouse.ledger.copying import Progress, copy_rows, delete_rows, is_empty
from warehouse.ledger.encoding import json_of, moment_text
from warehouse.ledger.events import Events
from warehouse.ledger.halts import Halts
from warehouse.ledger.leases import Leases
from warehouse.ledger.wal import find_damage
from warehouse.versions import load_migrations, pending_migrations

PidAlive = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Restored:
    """A ledger that came back from `source`; `aside` is where the former one is, or empty."""

    place: str
    source: str
    aside: str
    schema: int
    rows: dict[str, int]
    halt: str


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """Who restores what, when (UTC), whether a present ledger may go aside, and on which host."""

    source: Path
    by: str
    at: datetime
    force: bool
    host: str
    pid_alive: PidAlive


def restore_backup(url: str, order: RestoreOrder, progress: Progress) -> Restored:
    """Replace the ledger at `url` by a backup, after every check that can be made before.

    Raises InvalidInput (no usable backup, a present ledger without `force`), RetryLater (a session
    holds its lease, or another process has the file open). Until the last step nothing has changed.
    """
    require_usable(order.source)
    if make_url(url).get_backend_name() != "sqlite":
        return _into_server(url, order, progress)
    target = Path(make_url(url).database or "")
    if target.exists() and not order.force:
        raise InvalidInput(
            f"{target} holds a ledger; restore with --force to put it aside (it is kept), "
            "or name another file in ROBO_LEDGER_URL"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.restoring-{os.getpid()}")
        try:
            _stage(order, staged, progress)
            aside = _swap(staged, target, order)
        finally:
            _remove(staged)
    except (OSError, sqlite3.Error) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(
            f"the ledger {target} cannot be written ({cause}); make its folder writable and free "
            "space, then run this again: the present ledger is still in its place"
        ) from error
    return _report(str(target), target, order, aside)


def require_usable(source: Path) -> None:
    """Raise InvalidInput unless `source` is a whole ledger that this version can read."""
    if not source.is_file():
        raise InvalidInput(f"there is no backup {source}; name a file of robo ledger backup")
    note = source.with_name(f"{source.name}.json")
    if note.is_file():
        try:
            told = json_of(note.read_text(encoding="utf-8")).get("sha256")
        except ValueError:
            told = None
        if told != sha256_of(source):
            raise InvalidInput(
                f"{source} is not the file that {note.name} describes (its SHA-256 differs); "
                "it was changed or damaged: take another backup"
            )
    try:
        faults = storage_faults(source)
        applied = _applied(source)
    except sqlite3.DatabaseError as error:
        raise InvalidInput(
            f"{source} is no usable ledger file ({error}); take another backup"
        ) from error
    if faults:
        raise InvalidInput(f"{source} is damaged ({'; '.join(faults[:3])}); take another backup")
    if not applied:
        raise InvalidInput(f"{source} is no ledger: it has no schema; take another backup")
    pending_migrations(load_migrations(MIGRATIONS), applied, str(source))


def _applied(source: Path) -> dict[int, str]:
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as connection:
        query = "SELECT name FROM sqlite_master WHERE name = 'schema_migrations'"
        if connection.execute(query).fetchone() is None:
            return {}
        rows = connection.execute("SELECT version, checksum FROM schema_migrations").fetchall()
    return {int(version): str(checksum) for version, checksum in rows}


def _stage(order: RestoreOrder, staged: Path, progress: Progress) -> None:
    """Copy the backup beside the target, migrated and halted, ready to be renamed."""
    with (
        closing(sqlite3.connect(f"file:{order.source}?mode=ro", uri=True)) as found,
        closing(sqlite3.connect(staged)) as copy,
    ):
        copy_database(found, copy, progress)
    store = LedgerStore(f"sqlite:///{staged}")
    _mark(store, order)
    store.close()
    with closing(sqlite3.connect(staged)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # one file, to be renamed as a whole
    sync(staged)


def _swap(staged: Path, target: Path, order: RestoreOrder) -> str:
    """Rename the staged file onto the target; there is a ledger at every moment."""
    if not target.exists():
        staged.rename(target)
        sync(target.parent)
        return ""
    aside = target.with_name(f"{target.name}.before-{order.at:%Y%m%dT%H%M%S%fZ}")
    log, log_aside = (path.with_name(f"{path.name}-wal") for path in (target, aside))
    if log.exists():
        shutil.copy2(log, log_aside)  # opening a damaged ledger may throw its log away
    try:
        if log.exists() and find_damage(log.read_bytes()) is not None:
            raise sqlite3.DatabaseError("the write-ahead log is damaged")
        with closing(sqlite3.connect(target, timeout=2, isolation_level=None)) as present:
            _require_free(present, order)
            # Only the last connection may leave the log: no session is left behind on this file.
            present.execute("PRAGMA journal_mode = DELETE")
            present.execute("BEGIN EXCLUSIVE")
            log_aside.unlink(missing_ok=True)  # all of it is in the file now
            _keep(target, aside)
            staged.replace(target)
    except RetryLater:
        log_aside.unlink(missing_ok=True)
        raise
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            log_aside.unlink(missing_ok=True)
            raise RetryLater(
                f"another process has {target} open ({error}); stop robo serve and every session, "
                "then run this again: nothing was changed"
            ) from error
        for suffix in ("-wal", "-shm"):  # it is damaged, and so is what it would be replayed from
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        _keep(target, aside)
        staged.replace(target)
    sync(target.parent)
    return str(aside)


def _keep(target: Path, aside: Path) -> None:
    try:
        os.link(target, aside)
    except OSError:  # a file system without hard links
        shutil.copy2(target, aside)
        sync(aside)


def _require_free(present: sqlite3.Connection, order: RestoreOrder) -> None:
    """Refuse while a lease is alive; then halt the ledger that goes, of whatever version it is."""
    query = "SELECT name FROM sqlite_master WHERE name IN ('leases', 'halts')"
    if len(present.execute(query).fetchall()) < 2:
        return
    present.execute("BEGIN IMMEDIATE")
    rows = present.execute(
        "SELECT name, holder, pid, host, expires_at FROM leases WHERE released = 0 "
        "AND expires_at > ?",
        [moment_text(order.at)],
    ).fetchall()
    for lease in rows:
        _refuse_alive(order, lease)
    present.execute(
        "INSERT INTO halts (id, reason, halted_by, halted_at) "
        "SELECT COALESCE(MAX(id), 0) + 1, ?, ?, ? FROM halts",
        [f"put aside when {order.source.name} was restored", order.by, moment_text(order.at)],
    )
    present.execute("COMMIT")


def _into_server(url: str, order: RestoreOrder, progress: Progress) -> Restored:
    store = LedgerStore(url)
    staged = order.source.with_name(f".{order.source.name}.restoring-{os.getpid()}")
    aside = ""
    try:
        with store.tables() as connection:
            empty = is_empty(connection)
        if not empty and not order.force:
            raise InvalidInput(
                f"{store.place} holds a ledger; restore with --force (it is backed up first)"
            )
        _refuse_lease(store, order)
        if not empty:
            aside = str(_present_backup(store, order, progress).path)
        with (
            closing(sqlite3.connect(order.source)) as found,
            closing(sqlite3.connect(staged)) as to,
        ):
            copy_database(found, to, progress)
        copy = LedgerStore(f"sqlite:///{staged}")  # migrated there: the backup stays as it is
        try:
            with copy.tables() as source, store.tables(writes=True) as target:
                delete_rows(target)
                copy_rows(source, target, progress)
                _mark(store, order)
        finally:
            copy.close()
        return _report(store.place, order.source, order, aside)
    finally:
        store.close()
        _remove(staged)


def _remove(staged: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        staged.with_name(staged.name + suffix).unlink(missing_ok=True)


def _present_backup(store: LedgerStore, order: RestoreOrder, progress: Progress) -> Backup:
    name = f"before-{order.at:%Y%m%dT%H%M%S%fZ}-{order.source.name}"
    return write_backup(store, order.source.with_name(name), order.at, progress)


def _refuse_lease(store: LedgerStore, order: RestoreOrder) -> None:
    for lease in Leases(store).held(order.at):
        until = moment_text(lease.expires_at)
        _refuse_alive(order, (lease.name, lease.holder, lease.pid, lease.host, until))


def _refuse_alive(order: RestoreOrder, lease: tuple[str, str, int, str, str]) -> None:
    name, holder, pid, host, until = lease
    if host == order.host and not order.pid_alive(pid):
        return
    raise RetryLater(
        f"{name} is held by {holder} (pid {pid} on {host}) until {until}; let the session finish "
        "or end it, then run this again: nothing was changed"
    )


def _mark(store: LedgerStore, order: RestoreOrder) -> None:
    """Halt the restored ledger and note where it is from, in one transaction."""
    with store.write():
        Halts(store).halt(halt_reason(order), order.by, order.at)
        payload = {"source": order.source.name, "by": order.by}
        Events(store).append("restored", "", payload, order.at)


def halt_reason(order: RestoreOrder) -> str:
    """Say why a restored ledger is halted, and what ends it."""
    return (
        f"restored from {order.source.name}: orders since that backup are not in it; "
        "run robo reconcile, compare with the account's statement, then robo resume"
    )


def _report(place: str, file: Path, order: RestoreOrder, aside: str) -> Restored:
    found = contents(file)
    reason = halt_reason(order)
    return Restored(place, str(order.source), aside, found["schema"], found["rows"], reason)
