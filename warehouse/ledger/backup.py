"""Back the ledger up, while it is in use, into one verified file that any database can take back.

The file is a SQLite ledger whatever the ledger's own database is: it is restored into SQLite or
PostgreSQL, and needs no tool of either. Beside it stands a JSON file with its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.domain.errors import InvalidInput, RetryLater
from warehouse.lasting_names import sync
from warehouse.ledger.audit import table_rows
from warehouse.ledger.chain import chain_head
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.copying import Progress, copy_rows
from warehouse.ledger.encoding import moment_text

STEP_PAGES = 4_096  # 16 MB of 4 kB pages between two lines of progress
MOST_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class Backup:
    """A written backup: its file, size in bytes, what it holds and the head of its hash chain.

    `method` says how it was taken, `taken_at` is UTC.
    """

    path: str
    size: int
    sha256: str
    schema: int
    links: int
    head: str
    rows: dict[str, int]
    method: str
    taken_at: str


def write_backup(store: LedgerStore, path: Path, at: datetime, progress: Progress) -> Backup:
    """Write a backup of the ledger as it is at one moment; `path` exists only once it is verified.

    Raises InvalidInput when `path` exists or cannot be written, RetryLater when the copy is not
    whole (nothing is left then).
    """
    refuse_existing(path)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    with _file_troubles(path), _removed_on_failure(partial):
        path.parent.mkdir(parents=True, exist_ok=True)
        if store.is_sqlite:
            method = "SQLite online backup"
            _copy_pages(Path(store.place), partial, progress)
        else:
            method = "portable copy of every row, in one repeatable-read transaction"
            _copy_tables(store, partial, progress)
        _one_file(partial)
        sync(partial)
        progress("verifying the copy")
        found = _verified(partial, path, method, at)
        note = path.with_name(f"{path.name}.json")
        note.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
        sync(note)
        partial.rename(path)
        sync(path.parent)
    return found


def storage_faults(path: Path) -> list[str]:
    """Return what SQLite's own checks say against a file: pages, indexes, references."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        told = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        faults = [str(text) for text in told if text != "ok"]
        faults += [
            f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is gone"
            for row in connection.execute("PRAGMA foreign_key_check")
        ]
    return faults


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_existing(path: Path) -> None:
    """Raise InvalidInput when there is something at `path`: nothing is overwritten."""
    if path.exists():
        raise InvalidInput(f"{path} exists; name another file: a backup never overwrites one")


def copy_database(
    source: sqlite3.Connection, target: sqlite3.Connection, progress: Progress
) -> None:
    """Copy a SQLite database page by page; writers may go on.

    A commit of another process in between starts the copy anew; after three of them it is taken
    in one step, which none can disturb.
    """
    size = int(source.execute("PRAGMA page_size").fetchone()[0])
    left, restarts = 2**62, 0

    def told(_status: int, remaining: int, total: int) -> None:
        nonlocal left, restarts
        restarts += remaining > left
        left = remaining
        if restarts > MOST_RESTARTS:
            raise _TooBusyError
        done = (total - remaining) * size / 1e6
        progress(f"copied {done:,.1f} of {total * size / 1e6:,.1f} MB")

    try:
        source.backup(target, pages=STEP_PAGES, progress=told, sleep=0.0)
    except _TooBusyError:
        progress("the ledger is written to all the time: copying it in one step")
        source.backup(target)


class _TooBusyError(Exception):
    """Others commit faster than a stepwise copy can follow."""


def _copy_pages(source: Path, partial: Path, progress: Progress) -> None:
    with (
        closing(sqlite3.connect(source, timeout=20)) as found,
        closing(sqlite3.connect(partial)) as copy,
    ):
        copy_database(found, copy, progress)


def _copy_tables(store: LedgerStore, partial: Path, progress: Progress) -> None:
    copy = LedgerStore(f"sqlite:///{partial}")
    try:
        with store.tables() as source, copy.tables(writes=True) as target:
            copy_rows(source, target, progress)
    finally:
        copy.close()


def _one_file(partial: Path) -> None:
    """Leave the write-ahead log, so that the backup is one file and nothing beside it."""
    with closing(sqlite3.connect(partial)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _verified(partial: Path, path: Path, method: str, at: datetime) -> Backup:
    faults = storage_faults(partial)
    if faults:
        raise RetryLater(
            f"the copy of the ledger is not whole ({'; '.join(faults[:3])}); run robo ledger "
            "check: if the ledger itself is damaged, restore an earlier backup"
        )
    size, digest = partial.stat().st_size, sha256_of(partial)
    facts = contents(partial)
    return Backup(str(path), size, digest, method=method, taken_at=moment_text(at), **facts)


def contents(path: Path) -> dict[str, Any]:
    """Return schema, links, head and rows of a SQLite ledger file, which is left as it is."""
    from sqlalchemy import create_engine, text

    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            rows = table_rows(connection, is_sqlite=True)
            if "schema_migrations" not in rows:
                raise InvalidInput(f"{path} is no ledger: it has no table schema_migrations")
            newest = connection.execute(text("SELECT MAX(version) FROM schema_migrations"))
            head = chain_head(connection) if "chain" in rows else None
            return {
                "schema": int(newest.scalar_one() or 0),
                "links": head.seq if head else 0,
                "head": head.digest if head else "",
                "rows": rows,
            }
    finally:
        engine.dispose()


@contextmanager
def _removed_on_failure(partial: Path) -> Generator[None, None, None]:
    try:
        yield
    except BaseException:
        for suffix in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)
        raise


@contextmanager
def _file_troubles(path: Path) -> Generator[None, None, None]:
    """Say what to do when the backup cannot be written; a damaged source has its own text."""
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"the backup {path} cannot be written ({error.strerror}); "
            "name a folder with room that you may write in"
        ) from error
    except sqlite3.DatabaseError as error:
        cause = str(error)
        with suppress(OSError):
            path.with_name(f"{path.name}.json").unlink(missing_ok=True)
        if "malformed" in cause or "not a database" in cause:
            raise InvalidInput(
                f"the ledger itself is damaged ({cause}), so no backup was written; "
                "run robo ledger restore with an earlier one"
            ) from error
        raise InvalidInput(
            f"the backup {path} cannot be written ({cause}); name a folder with room that you may "
            "write in, and run this again"
        ) from error
