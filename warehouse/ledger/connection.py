"""The one engine of a ledger: opening, transactions, and what a database failure means.

Writers take turns: BEGIN IMMEDIATE on SQLite, one advisory lock on PostgreSQL. So whatever a
write transaction has read still holds when it commits, on either database.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, ProgrammingError

from models.domain.errors import InvalidInput, RetryLater
from warehouse.ledger import sqlite_file
from warehouse.ledger.chain import seal_history
from warehouse.ledger.encoding import moment_text
from warehouse.ledger.failures import FailuresTranslated
from warehouse.ledger.sqlite_file import FileDrivers
from warehouse.ledger.statements import LedgerConnection
from warehouse.ledger.wal import require_whole_log
from warehouse.versions import ROOT, load_migrations, pending_migrations

MIGRATIONS = ROOT / "ledger"
SMALLEST = 512  # bytes of the smallest page of SQLite
MAKING = 2.0  # seconds that another process may take from making the file to its first page
WRITER_LOCK = 7_205_759_403  # any constant that all versions share
_WRITES = "ledger_writes"
_T = TypeVar("_T")

_CREATE_VERSIONS = text(
    "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY, "
    "name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL)"
)
_VERSIONS = text("SELECT version, checksum FROM schema_migrations")
_ADD_VERSION = text(
    "INSERT INTO schema_migrations (version, name, checksum, applied_at) "
    "VALUES (:version, :name, :checksum, :at)"
)


class LedgerStore:
    """A pooled engine with the ledger's transactions; safe to share between threads."""

    def __init__(self, url: str, deadline: float = 20.0) -> None:
        """Open the ledger at `url`, create or migrate it; wait `deadline` seconds for locks.

        Raises InvalidInput for a place that cannot hold a ledger, RetryLater for a locked one.
        """
        parsed = _parse(url)
        self.boundary: Callable[[str], None] = _pass  # what a crash test hangs itself in
        self.place = parsed.database or "" if _is_sqlite(parsed) else str(parsed.set(query={}))
        self._deadline = deadline
        self._is_sqlite = _is_sqlite(parsed)
        self._local = threading.local()
        if _is_sqlite(parsed):
            _prepare_file(Path(self.place))
            require_whole_log(Path(self.place))
        self._engine = _make_engine(parsed, deadline)
        self._files = FileDrivers(self._opened_file)
        try:
            self._migrate()
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Say whether the ledger is a SQLite file."""
        return self._is_sqlite

    def close(self) -> None:
        """Close every connection of this process to the ledger."""
        self._files.close()
        self._engine.dispose()

    def write(self, *, urgent: bool = False) -> AbstractContextManager[LedgerConnection]:
        """Give the writer's transaction: committed at the end, undone by any exception.

        Inside an outer `write` of the same thread it joins that transaction. An urgent one is as
        durable, and leaves the upkeep of the file to the next.
        """
        joined: LedgerConnection | None = getattr(self._local, "writing", None)
        return self._writing(urgent) if joined is None else nullcontext(joined)

    def read(self) -> AbstractContextManager[LedgerConnection]:
        """Give one consistent view; inside a `write` or `read` of this thread, that one's view."""
        joined: LedgerConnection | None = getattr(self._local, "writing", None)
        joined = joined or getattr(self._local, "reading", None)
        return self._reading() if joined is None else nullcontext(joined)

    @contextmanager
    def _writing(self, urgent: bool) -> Generator[LedgerConnection, None, None]:
        with FailuresTranslated(self.place), self._transaction(writes=True, urgent=urgent) as begun:
            self._local.writing = begun
            try:
                yield begun
            finally:
                self._local.writing = None
        self.boundary("commit-after")

    @contextmanager
    def _reading(self) -> Generator[LedgerConnection, None, None]:
        with FailuresTranslated(self.place), self._transaction(writes=False) as begun:
            self._local.reading = begun
            try:
                yield begun
            finally:
                self._local.reading = None

    @contextmanager
    def tables(self, *, writes: bool = False) -> Generator[Connection, None, None]:
        """Give SQLAlchemy's own connection in a transaction, for work on whole tables.

        On a server a `write` or `read` inside it joins it.
        """
        engine = self._writer() if writes else self._engine.connect()
        with FailuresTranslated(self.place), engine as connection, connection.begin():
            if self.is_sqlite:
                yield connection
                return
            self._local.writing = connection if writes else None
            try:
                yield connection
            finally:
                self._local.writing = None

    def _transaction(
        self, *, writes: bool, urgent: bool = False
    ) -> AbstractContextManager[LedgerConnection]:
        """Give a transaction of the database's own kind; a writer's passes commit-before."""
        passed = partial(self.boundary, "commit-before") if writes else None
        if self.is_sqlite:
            return self._files.transaction(passed, urgent=urgent)
        return self._on_server(passed)

    @contextmanager
    def _on_server(
        self, passed: Callable[[], None] | None
    ) -> Generator[LedgerConnection, None, None]:
        opened = self._engine.connect() if passed is None else self._writer()
        with opened as connection, connection.begin():
            yield connection
            if passed is not None:
                passed()

    def _opened_file(self) -> sqlite3.Connection:
        """Open one more connection to the file, which is no longer SQLAlchemy's own."""
        pooled = self._engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()
        return driver

    def _writer(self) -> Connection:
        return self._engine.connect().execution_options(**{_WRITES: True})

    def _migrate(self) -> None:
        known = load_migrations(MIGRATIONS)
        applied = self._retry_busy(self._applied)
        if pending_migrations(known, applied, self.place):
            self._retry_busy(self._apply_pending)

    def _applied(self) -> dict[int, str]:
        try:
            with self._engine.connect() as connection, connection.begin():
                return _read_versions(connection)
        except (OperationalError, ProgrammingError) as error:
            cause = str(error.orig).lower()
            if "no such table" in cause or ("relation" in cause and "does not exist" in cause):
                return {}
            raise

    def _apply_pending(self) -> None:
        with self._writer() as connection, connection.begin():
            connection.execute(_CREATE_VERSIONS)
            known = load_migrations(MIGRATIONS)
            applied = _read_versions(connection)  # another process may have been faster
            is_chained = False
            for step in pending_migrations(known, applied, self.place):
                for statement in step.statements():
                    connection.exec_driver_sql(statement)
                row = {"version": step.version, "name": step.name, "checksum": step.checksum}
                connection.execute(_ADD_VERSION, row | {"at": moment_text(datetime.now(UTC))})
                is_chained |= step.name == "hash_chain"
            if is_chained:  # in the end: a later step may add tables that are sealed
                seal_history(connection)

    def _retry_busy(self, action: Callable[[], _T]) -> _T:
        """Repeat while the file is locked: the switch to WAL does not wait by itself."""
        started = time.monotonic()
        while True:
            try:
                with FailuresTranslated(self.place):
                    return action()
            except RetryLater:
                if time.monotonic() - started > self._deadline:
                    raise
                time.sleep(random.uniform(0.01, 0.05))  # noqa: S311


def _pass(*_boundary: str) -> None:
    """Do nothing at a boundary."""


def _read_versions(connection: Connection) -> dict[int, str]:
    return {row.version: row.checksum for row in connection.execute(_VERSIONS)}


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidInput(
            "ROBO_LEDGER_URL is no database URL; give sqlite:////folder/ledger.sqlite or "
            "postgresql+psycopg://user:password@host/name"
        ) from None
    if _is_sqlite(parsed) and parsed.database in (None, "", ":memory:"):
        raise InvalidInput(
            "the order ledger must outlive the process: name a file in ROBO_LEDGER_URL"
        )
    if not _is_sqlite(parsed) and parsed.get_backend_name() != "postgresql":
        raise InvalidInput(
            f"ROBO_LEDGER_URL names {parsed.get_backend_name()}; use sqlite or postgresql"
        )
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _prepare_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InvalidInput(
                f"the order ledger {path} is a folder; name a file in ROBO_LEDGER_URL"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"the folder of the order ledger {path} cannot be made or entered ({error.strerror}); "
            "make the file and its folder writable, or set ROBO_HOME to a folder that is"
        ) from error
    _require_content(path)


def _require_content(path: Path) -> None:
    """Refuse a file that SQLite would take for an empty one, to start a new ledger in it.

    One without a byte is given some time: another process may just be making it.
    """
    waited_until = time.monotonic() + MAKING
    try:
        while (size := path.stat().st_size) == 0 and time.monotonic() < waited_until:
            time.sleep(0.05)
    except OSError:
        return  # the first use makes it, or the opening tells what is wrong
    if size < SMALLEST:
        raise InvalidInput(
            f"{path} is not a usable SQLite file (it was cut to {size} bytes); send no order, and "
            "restore a backup: robo ledger restore BACKUP --force (delete the file if this ledger "
            "was never used)"
        )


def _make_engine(url: URL, deadline: float) -> Engine:
    try:
        if _is_sqlite(url):  # every transaction ends by itself: there is nothing to reset
            engine = create_engine(url, pool_reset_on_return=None)
        else:
            engine = create_engine(url, pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise InvalidInput(
            f"the database driver of {url.drivername} is not installed; "
            "install it (psycopg[binary] for postgresql+psycopg) or use sqlite"
        ) from error
    if engine.dialect.is_async:
        raise InvalidInput(f"{url.drivername} is an asyncio driver; use postgresql+psycopg")
    milliseconds = max(1, int(deadline * 1000))
    if _is_sqlite(url):

        def set_up_file(dbapi: DBAPIConnection, _record: object) -> None:
            sqlite_file.set_up(dbapi, milliseconds)

        event.listen(engine, "connect", set_up_file)
        event.listen(engine, "begin", _begin_sqlite)
    else:

        def set_up_server(dbapi: DBAPIConnection, _record: object) -> None:
            _set_up_postgres(dbapi, milliseconds)

        event.listen(engine, "connect", set_up_server)
        event.listen(engine, "begin", _begin_postgres)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set_up_postgres(dbapi: DBAPIConnection, milliseconds: int) -> None:
    cursor = dbapi.cursor()
    cursor.execute(f"SET lock_timeout = {milliseconds}")
    cursor.close()
    dbapi.commit()


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
