"""What the ledger's repositories need of a database connection, whichever database it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import TextClause

LedgerRow: TypeAlias = Any  # a tuple whose values are also attributes, by column name
Values: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Scalars(Protocol):
    """The first column of an answer."""

    def __iter__(self) -> Iterator[Any]:
        """Give one value after the other."""
        ...

    def all(self) -> Sequence[Any]:
        """Return every value."""
        ...


class Answer(Protocol):
    """The rows that a statement gave, or the number of rows that it changed."""

    @property
    def rowcount(self) -> int:
        """The rows that were changed."""
        ...

    def __iter__(self) -> Iterator[LedgerRow]:
        """Give one row after the other."""
        ...

    def all(self) -> Sequence[LedgerRow]:
        """Return every row."""
        ...

    def first(self) -> LedgerRow:
        """Return the first row or None."""
        ...

    def one(self) -> LedgerRow:
        """Return the only row; raises when there is none or another."""
        ...

    def one_or_none(self) -> LedgerRow:
        """Return the only row or None; raises when there is another."""
        ...

    def scalar_one(self) -> Any:
        """Return the first value of the only row."""
        ...

    def scalar_one_or_none(self) -> Any:
        """Return the first value of the only row, or None."""
        ...

    def scalars(self) -> Scalars:
        """Return the first column."""
        ...


class LedgerConnection(Protocol):
    """A connection inside a transaction: SQLAlchemy's on a server, `sqlite_file`'s on a file."""

    def execute(self, statement: TextClause, parameters: Values = None, /) -> Answer:
        """Run a statement with one set of values, or once with each of several."""
        ...

    def exec_driver_sql(self, statement: str, /) -> Answer:
        """Run a statement as the driver takes it."""
        ...
