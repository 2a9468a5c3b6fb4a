"""Copy every row of one ledger into another of the same schema, whichever databases they are."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, MetaData, Table, func, select

BATCH = 5_000
KEPT = "schema_migrations"  # each database tells when its own steps were applied

Progress = Callable[[str], None]


def tables_of(connection: Connection) -> list[Table]:
    """Return the tables in an order in which rows can be added, but for the schema's record."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != KEPT]


def is_empty(connection: Connection) -> bool:
    """Say whether no table has a row."""
    return not any(
        connection.execute(select(table).limit(1)).first() is not None
        for table in tables_of(connection)
    )


def copy_rows(source: Connection, target: Connection, progress: Progress) -> int:
    """Add every row of `source` to the empty tables of `target`; return how many."""
    tables = tables_of(source)
    total = sum(
        int(source.execute(select(func.count()).select_from(table)).scalar_one())
        for table in tables
    )
    copied = 0
    for table in tables:
        rows = source.execute(select(table)).yield_per(BATCH).mappings()
        for batch in rows.partitions(BATCH):
            target.execute(table.insert(), [dict(row) for row in batch])
            copied += len(batch)
            progress(f"copied {copied:,} of {total:,} rows ({table.name})")
    return copied


def delete_rows(connection: Connection) -> None:
    """Remove every row, those that refer to others first."""
    for table in reversed(tables_of(connection)):
        connection.execute(table.delete())
