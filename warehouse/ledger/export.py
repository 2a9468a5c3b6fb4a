"""Write the ledger as Parquet, one file a table, for research: the warehouse reads it in place.

Everything is of one moment. Values are what the ledger holds (money and moments as text, exact);
`views.sql` gives them DuckDB's types.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, Table, select, text

from models.domain.errors import InvalidInput
from warehouse.ledger.backup import sha256_of
from warehouse.ledger.chain import chain_head
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.copying import BATCH, Progress, tables_of
from warehouse.ledger.encoding import moment_text

MANIFEST = "manifest.json"
VIEWS = "views.sql"
MONEY = frozenset(
    {"decision_price", "limit_price", "price", "amount", "realized_pnl", "cash", "net_liquidation"}
)
MOMENTS = frozenset(
    {"at", "start_at", "end_at", "decided_at", "committed_at", "sent_at", "opened_at"}
    | {"halted_at", "resumed_at", "since", "expires_at", "recorded_at", "effective_at"}
)

_SCHEMA = text("SELECT MAX(version) FROM schema_migrations")


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """One Parquet file: its name, rows, size in bytes and SHA-256."""

    file: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Export:
    """A written export; `head` is that of the ledger's hash chain, `exported_at` UTC."""

    folder: str
    schema: int
    head: str
    exported_at: str
    tables: dict[str, ExportedTable]


def write_export(store: LedgerStore, folder: Path, at: datetime, progress: Progress) -> Export:
    """Write every table of the ledger, a manifest and DuckDB views into a new or empty folder.

    The manifest is written last: a folder without one is not complete. Raises InvalidInput when
    the folder has files in it or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput(f"{folder} is not empty; name a new folder for the export")
        with store.tables() as connection:
            schema = int(connection.execute(_SCHEMA).scalar_one())
            head = chain_head(connection).digest
            tables = tables_of(connection)
            sealed = {"ledger_schema": str(schema), "ledger_head": head}
            written: dict[str, ExportedTable] = {}
            for table in tables:
                done = written[table.name] = _write(connection, table, folder, sealed)
                progress(f"{table.name}: {done.rows:,} rows, {done.size / 1e3:,.1f} kB")
        (folder / VIEWS).write_text("\n".join(map(_view, tables)) + "\n", encoding="utf-8")
        whole = Export(str(folder), schema, head, moment_text(at), written)
        manifest = json.dumps(asdict(whole) | {"folder": "."}, indent=1)
        (folder / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"the export {folder} cannot be written ({error.strerror}); "
            "name a folder with room that you may write in"
        ) from error
    return whole


def _write(
    connection: Connection, table: Table, folder: Path, sealed: Mapping[str, str]
) -> ExportedTable:
    pa, parquet = _pyarrow()
    schema = pa.schema(
        [
            (column.name, pa.int64() if _is_whole(column.type) else pa.string())
            for column in table.columns
        ],
        metadata={**sealed, "ledger_table": table.name},
    )
    path = folder / f"{table.name}.parquet"
    rows = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(connection, table):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            rows += len(batch)
    return ExportedTable(path.name, rows, path.stat().st_size, sha256_of(path))


def _pyarrow() -> tuple[Any, Any]:
    """Import pyarrow, which has no types, when it is needed: it takes a while."""
    import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
    from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]

    return pa, parquet


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    query = select(table).order_by(*table.primary_key.columns)
    for batch in connection.execute(query).yield_per(BATCH).mappings().partitions(BATCH):
        yield [dict(row) for row in batch]


def _is_whole(kind: object) -> bool:
    return isinstance(kind, Integer | BigInteger)


def _view(table: Table) -> str:
    """Return a DuckDB view; run it with the export's folder as the working directory."""
    columns = ", ".join(_typed(column.name) for column in table.columns)
    return (
        f"CREATE OR REPLACE VIEW ledger_{table.name} AS "  # noqa: S608
        f"SELECT {columns} FROM read_parquet('{table.name}.parquet');"
    )


def _typed(name: str) -> str:
    if name in MONEY:
        return f'CAST("{name}" AS DECIMAL(28, 10)) AS "{name}"'
    if name in MOMENTS:
        shown = "at_utc" if name == "at" else name  # AT is a word of DuckDB's grammar
        return f"CAST(replace(\"{name}\", 'Z', '') AS TIMESTAMP) AS {shown}"
    return f'"{name}"'
