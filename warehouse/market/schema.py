"""The schema of the market database: applied migrations, and the steps that it still lacks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from warehouse.versions import ROOT, load_migrations, pending_migrations

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MIGRATIONS = ROOT / "market"

_KEY_LINE = re.compile(r",\s*(?:PRIMARY KEY|UNIQUE)\s*\([^)]*\)", re.IGNORECASE)
_KEY_WORD = re.compile(r"\s+(?:PRIMARY KEY|UNIQUE)\b", re.IGNORECASE)


def utc_naive(moment: datetime) -> datetime:
    """Return a timezone-aware moment as DuckDB stores it: UTC without a timezone.

    Raises InvalidInput for a moment that has none.
    """
    if moment.tzinfo is None:
        raise InvalidInput(f"the moment {moment} has no timezone; give it as UTC")
    return moment.astimezone(UTC).replace(tzinfo=None)


def migrate(connection: DuckDBPyConnection, place: str, *, keys: bool = True) -> None:
    """Apply the steps that the database at `place` lacks, in one transaction.

    Without `keys` (a lake knows none) tables are made without primary keys; every write here is a
    merge, which keeps them unique all the same.
    """
    known = load_migrations(MIGRATIONS)
    pending = pending_migrations(known, applied_steps(connection), place)
    if not pending:
        return
    connection.begin()
    connection.execute(
        _plain(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, "
            "name VARCHAR NOT NULL, checksum VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL)",
            keys,
        )
    )
    for step in pending:
        for statement in step.statements():
            connection.execute(_plain(statement, keys))
        connection.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)",
            [step.version, step.name, step.checksum, utc_naive(datetime.now(UTC))],
        )
    connection.commit()


def applied_steps(connection: DuckDBPyConnection) -> dict[int, str]:
    """Return the applied versions with their checksums; none for a new database."""
    import duckdb

    try:
        rows = connection.execute("SELECT version, checksum FROM schema_migrations").fetchall()
    except duckdb.CatalogException:
        return {}
    return {int(version): str(checksum) for version, checksum in rows}


def lacks_steps(connection: DuckDBPyConnection, place: str) -> bool:
    """Say whether migrations are pending."""
    return bool(pending_migrations(load_migrations(MIGRATIONS), applied_steps(connection), place))


def _plain(statement: str, keys: bool) -> str:
    return statement if keys else _KEY_WORD.sub("", _KEY_LINE.sub("", statement))
