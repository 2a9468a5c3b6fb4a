"""What the ledger's repositories need of a database connection, whichever database it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import TextClause

LedgerRow: TypeAlias = Any  # a tuple whose values are also attributes, by column name
Answer: TypeAlias = Any  # `sqlite_file.FileAnswer`, or SQLAlchemy's CursorResult, which can more
Values: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class LedgerConnection(Protocol):
    """A connection inside a transaction: SQLAlchemy's on a server, `sqlite_file`'s on a file."""

    def execute(self, statement: TextClause, parameters: Values = None, /) -> Answer:
        """Run a statement with one set of values, or once with each of several."""
        ...

    def exec_driver_sql(self, statement: str, /) -> Answer:
        """Run a statement as the driver takes it."""
        ...
