"""The ledger in a SQLite file, on the driver itself: each order waits for these statements.

SQLAlchemy's execution costs more than most of the statements do. Here a statement is its text,
which SQLite keeps prepared, and a row a named tuple. Opening and setting up a connection is
SQLAlchemy's still.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import TracebackType
from typing import Any, TypeAlias

from sqlalchemy import TextClause
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import MultipleResultsFound, NoResultFound

from warehouse.ledger.statements import LedgerRow, Values

CHECKPOINT_PAGES = 1000  # of the write-ahead log; SQLite's own default
_TIDY = f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"
_DO_NOT_TIDY = "PRAGMA wal_autocheckpoint = 0"

# What makes a row of the driver's tuple, by a statement and its number of columns.
RowKinds: TypeAlias = dict[tuple[str, int], Callable[[tuple[Any, ...]], LedgerRow]]


class FileAnswer:
    """The rows of one statement, as SQLAlchemy's CursorResult has them."""

    __slots__ = ("_cursor", "_kinds", "_text")

    def __init__(self, cursor: sqlite3.Cursor, text: str, kinds: RowKinds) -> None:
        self._cursor = cursor
        self._text = text
        self._kinds = kinds

    @property
    def rowcount(self) -> int:
        """The rows that were changed."""
        return self._cursor.rowcount

    def __iter__(self) -> Iterator[LedgerRow]:
        return iter(self.all())

    def all(self) -> list[LedgerRow]:
        """Return every row; a statement that gives none has no rows."""
        found = self._cursor.fetchall()
        return list(map(self._kind(found[0]), found)) if found else []

    def first(self) -> LedgerRow:
        """Return the first row or None."""
        found = self.all()
        return found[0] if found else None

    def one_or_none(self) -> LedgerRow:
        """Return the only row or None; raises MultipleResultsFound when there is another."""
        found = self._cursor.fetchall()
        if len(found) > 1:
            raise MultipleResultsFound("more than one row where one was expected")
        return self._kind(found[0])(found[0]) if found else None

    def one(self) -> LedgerRow:
        """Return the only row; raises NoResultFound or MultipleResultsFound."""
        found = self.one_or_none()
        if found is None:
            raise NoResultFound("no row where one was expected")
        return found

    def scalar_one(self) -> Any:
        """Return the first value of the only row."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        """Return the first value of the only row, or None."""
        found = self.one_or_none()
        return None if found is None else found[0]

    def scalars(self) -> FileScalars:
        """Return the first column."""
        return FileScalars(self._cursor)

    def _kind(self, row: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], LedgerRow]:
        key = (self._text, len(row))
        kind = self._kinds.get(key)
        if kind is None:
            kind = _row_of(tuple(column[0] for column in self._cursor.description))
            self._kinds[key] = kind
        return kind


class FileScalars:
    """The first column of an answer."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())

    def all(self) -> list[Any]:
        """Return every value."""
        return [row[0] for row in self._cursor.fetchall()]


class FileConnection:
    """A connection to the file inside a transaction, as `statements.LedgerConnection` has it."""

    __slots__ = ("_kinds", "driver")

    def __init__(self, driver: sqlite3.Connection, kinds: RowKinds) -> None:
        self.driver = driver
        self._kinds = kinds

    def execute(self, statement: TextClause, parameters: Values = None, /) -> FileAnswer:
        """Run a statement with one set of values, or once with each of several."""
        words = statement.text
        if isinstance(parameters, list | tuple):
            return FileAnswer(self.driver.executemany(words, parameters), words, self._kinds)
        return FileAnswer(self.driver.execute(words, parameters or ()), words, self._kinds)

    def exec_driver_sql(self, statement: str, /) -> FileAnswer:
        """Run a statement as it is."""
        return FileAnswer(self.driver.execute(statement), statement, self._kinds)


class FileDrivers:
    """The open connections to one file: each serves one transaction at a time, of any thread.

    They leave the log as it is, where SQLite would copy it into the file inside the commit that
    fills it: `transaction` says when that is done.
    """

    def __init__(self, opened: Callable[[], sqlite3.Connection]) -> None:
        """Take what opens another connection, set up as `set_up` does."""
        self._opened = opened
        self._idle: list[sqlite3.Connection] = []
        self._kinds: RowKinds = {}
        self._is_closed = False

    def transaction(
        self, before_commit: Callable[[], None] | None, *, urgent: bool = False
    ) -> FileTransaction:
        """Give a transaction, committed at the end, undone by any exception.

        It is a writer's when there is something to call `before_commit`, else a reader's. A writer
        that is not urgent copies the log into the file when it is long, which takes many times a
        commit.
        """
        return FileTransaction(self, before_commit, tidies=before_commit is not None and not urgent)

    def begin(self) -> FileConnection:
        """Take a connection out of the idle ones, or open another."""
        try:
            driver = self._idle.pop()  # the last one used has the most of the file at hand
        except IndexError:
            driver = self._opened()
            driver.execute(_DO_NOT_TIDY)
        return FileConnection(driver, self._kinds)

    def give_back(self, driver: sqlite3.Connection) -> None:
        """Take a connection back whose transaction has ended."""
        if self._is_closed:
            driver.close()
        else:
            self._idle.append(driver)

    def close(self) -> None:
        """Close every connection, those in use as soon as they are not."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()


class FileTransaction:
    """One transaction of `FileDrivers`, as a block, which costs less than a generator's."""

    __slots__ = ("_before_commit", "_driver", "_drivers", "_tidies")

    def __init__(
        self, drivers: FileDrivers, before_commit: Callable[[], None] | None, *, tidies: bool
    ) -> None:
        self._drivers = drivers
        self._before_commit = before_commit
        self._tidies = tidies

    def __enter__(self) -> FileConnection:
        """Begin."""
        begun = self._drivers.begin()
        self._driver = driver = begun.driver
        try:
            if self._tidies:
                driver.execute(_TIDY)
            driver.execute("BEGIN" if self._before_commit is None else "BEGIN IMMEDIATE")
        except BaseException:
            self._end()
            raise
        return begun

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit, or undo what an exception has ended."""
        try:
            if error is None:
                if self._before_commit is not None:
                    self._before_commit()
                self._driver.execute("COMMIT")
        finally:
            self._end()

    def _end(self) -> None:
        """Undo what is not committed, and give the connection back."""
        driver = self._driver
        try:
            if driver.in_transaction:
                driver.rollback()
            if self._tidies:
                driver.execute(_DO_NOT_TIDY)
        finally:
            self._drivers.give_back(driver)


def set_up(dbapi: DBAPIConnection, milliseconds: int) -> None:
    """Make a new connection durable, patient and strict about references."""
    dbapi.isolation_level = None  # the driver must not begin transactions by itself
    cursor = dbapi.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {milliseconds}")
    cursor.execute("PRAGMA journal_mode")
    mode: Any = cursor.fetchone()
    if mode != ("wal",):  # setting it again would need the whole file
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


@lru_cache(maxsize=512)
def _row_of(columns: tuple[str, ...]) -> Callable[[tuple[Any, ...]], LedgerRow]:
    """Return what makes a row of these columns out of the driver's tuple."""
    kind: Any = namedtuple("LedgerRow", columns, rename=True)  # pyright: ignore[reportUntypedNamedTuple]
    return kind._make
