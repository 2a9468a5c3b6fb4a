"""The ledger in a SQLite file, on the driver itself: each order waits for these statements.

SQLAlchemy's execution costs more than most of the statements do. Here a statement is its text,
which SQLite keeps prepared, and a row a named tuple. The pool and the set-up of connections are
SQLAlchemy's still.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import MultipleResultsFound, NoResultFound

from warehouse.ledger.statements import LedgerRow, Values

CHECKPOINT_PAGES = 1000  # of the write-ahead log; SQLite's own default


class FileAnswer:
    """The rows of one statement, as SQLAlchemy's CursorResult has them."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """The rows that were changed."""
        return self._cursor.rowcount

    def __iter__(self) -> Iterator[LedgerRow]:
        return iter(self.all())

    def all(self) -> list[LedgerRow]:
        """Return every row; a statement that gives none has no rows."""
        found = self._cursor.fetchall()
        return list(map(self._row(), found)) if found else []

    def first(self) -> LedgerRow:
        """Return the first row or None."""
        found = self.all()
        return found[0] if found else None

    def one_or_none(self) -> LedgerRow:
        """Return the only row or None; raises MultipleResultsFound when there is another."""
        found = self._cursor.fetchall()
        if len(found) > 1:
            raise MultipleResultsFound("more than one row where one was expected")
        return self._row()(found[0]) if found else None

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

    def _row(self) -> Callable[[tuple[Any, ...]], LedgerRow]:
        return _row_of(tuple(column[0] for column in self._cursor.description))


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

    __slots__ = ("_driver",)

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver

    def execute(self, statement: TextClause, parameters: Values = None, /) -> FileAnswer:
        """Run a statement with one set of values, or once with each of several."""
        if isinstance(parameters, list | tuple):
            return FileAnswer(self._driver.executemany(statement.text, parameters))
        return FileAnswer(self._driver.execute(statement.text, parameters or ()))

    def exec_driver_sql(self, statement: str, /) -> FileAnswer:
        """Run a statement as it is."""
        return FileAnswer(self._driver.execute(statement))


@contextmanager
def file_transaction(
    driver: sqlite3.Connection, begin: str, *, urgent: bool, before_commit: Callable[[], None]
) -> Generator[FileConnection, None, None]:
    """Give a transaction that `begin` opens: committed at the end, undone by any exception.

    An urgent one leaves the copying of the log into the file, which takes many times a commit, to
    the next that is not.
    """
    if urgent:
        driver.execute("PRAGMA wal_autocheckpoint = 0")
    try:
        driver.execute(begin)
        yield FileConnection(driver)
        before_commit()
        driver.execute("COMMIT")
    except BaseException:
        driver.rollback()
        raise
    finally:
        if urgent:
            driver.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")


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
