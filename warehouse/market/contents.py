"""What a market database holds: its tables, and a hash of each that no order of rows changes.

The hash of a table: each row becomes text, its columns in the order of their names, each as DuckDB
writes the value (numbers in their shortest exact form), NULL as one control character, separated by
another. The MD5 of each row is cut into two numbers of 64 bits; the sums of these over all rows,
the count, and the column names go through SHA-256. It finds damage and loss, not a forger.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VERSIONS = "schema_migrations"

_TABLES = (
    "SELECT table_name, list(column_name ORDER BY column_name) FROM duckdb_columns() "
    "WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal "
    "AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE NOT temporary "
    "AND database_name = current_database() AND schema_name = 'main') "
    "GROUP BY table_name ORDER BY table_name"
)


@dataclass(frozen=True, slots=True)
class TableContent:
    """One table: how many rows it has, and the SHA-256 of their content."""

    rows: int
    sha256: str


def table_columns(connection: DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
    """Return the columns of each table of the open database, both by name; no schema versions."""
    rows = connection.execute(_TABLES).fetchall()
    return {str(name): tuple(columns) for name, columns in rows if name != VERSIONS}


def table_contents(connection: DuckDBPyConnection) -> dict[str, TableContent]:
    """Read every row of every table and return what each holds; a damaged block raises."""
    return {
        name: table_content(connection, name, columns)
        for name, columns in table_columns(connection).items()
    }


def table_content(
    connection: DuckDBPyConnection, source: str, columns: tuple[str, ...]
) -> TableContent:
    """Return the content of a table, or of a subquery, with these columns."""
    return content_sum(connection, source, columns).content(columns)


@dataclass(frozen=True, slots=True)
class ContentSum:
    """The sums that a hash is made of; those of parts of a table add up to those of the whole."""

    rows: int = 0
    lower: int = 0
    upper: int = 0

    def __add__(self, other: ContentSum) -> ContentSum:
        """Sum up two parts of a table."""
        return ContentSum(
            self.rows + other.rows, self.lower + other.lower, self.upper + other.upper
        )

    def content(self, columns: tuple[str, ...]) -> TableContent:
        """Return the content of the table with these columns whose rows were summed up."""
        text = f"{','.join(sorted(columns))}|{self.rows}|{self.lower}|{self.upper}"
        return TableContent(self.rows, hashlib.sha256(text.encode()).hexdigest())


def content_sum(
    connection: DuckDBPyConnection, source: str, columns: tuple[str, ...]
) -> ContentSum:
    """Read every row of a table or of a subquery and sum up its content."""
    cells = ", ".join(f'coalesce("{name}"::VARCHAR, chr(30))' for name in sorted(columns))
    found = connection.execute(
        "SELECT count(*), sum(md5_number_lower(line)::HUGEINT), "  # noqa: S608 - names are ours
        f"sum(md5_number_upper(line)::HUGEINT) FROM (SELECT concat_ws(chr(31), {cells}) AS line "
        f"FROM {source})"
    ).fetchone()
    rows, lower, upper = found or (0, None, None)
    return ContentSum(int(rows), int(lower or 0), int(upper or 0))


def whole_content(tables: dict[str, TableContent]) -> str:
    """Return one SHA-256 for all tables; empty ones do not count."""
    lines = [f"{name} {table.sha256}" for name, table in sorted(tables.items()) if table.rows]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
