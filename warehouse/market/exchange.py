"""Write the warehouse as Parquet, one file a table, and fill an empty one from such a folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from warehouse.market.contents import (
    TableContent,
    table_columns,
    table_content,
    whole_content,
)
from warehouse.market.schema import applied_steps

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from warehouse.market.connection import MarketStore

MANIFEST = "manifest.json"
FORMAT = "FORMAT parquet, COMPRESSION zstd"
ORDER = ("symbol", "session", "ts", "replaced_at")  # of rows in a file, as far as a table has them
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """A written export: schema version, content of each table, one hash of all; moment in UTC."""

    folder: str
    schema: int
    exported_at: str
    size: int
    sha256: str
    tables: dict[str, TableContent]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read from a folder; `sha256` is the content of the warehouse afterwards."""

    source: str
    rows: dict[str, int]
    sha256: str


def export_market(store: MarketStore, folder: Path, at: datetime, progress: Progress) -> Exported:
    """Write every table of one moment and a manifest into a new or empty folder.

    The folder appears whole or not at all. Raises InvalidInput when it holds something, or cannot
    be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"{folder} is not empty; name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be made ({error.strerror}); name another") from error
    try:
        with store.snapshot(draft) as connection:
            tables = {
                name: _write_table(connection, name, columns, draft, progress)
                for name, columns in table_columns(connection).items()
            }
            schema = max(applied_steps(connection), default=0)
        size = sum(file.stat().st_size for file in draft.glob("*.parquet"))
        moment = at.astimezone(UTC).isoformat()
        done = Exported(str(folder), schema, moment, size, whole_content(tables), tables)
        (draft / MANIFEST).write_text(json.dumps(asdict(done) | {"folder": "."}, indent=1))
        draft.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        draft.replace(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return done


def import_market(store: MarketStore, folder: Path, progress: Progress) -> Imported:
    """Fill an empty warehouse from an export, in one transaction; prove each table's content.

    Raises InvalidInput when the folder is no export, was altered, was written by a newer version,
    or when the warehouse already holds rows.
    """
    manifest = _manifest(folder)
    expected: dict[str, Any] = manifest["tables"]
    rows: dict[str, int] = {}
    contents: dict[str, TableContent] = {}
    with store.write() as connection:
        present = table_columns(connection)
        schema = max(applied_steps(connection), default=0)
        if manifest["schema"] > schema:
            raise InvalidInput(
                f"{folder} has schema {manifest['schema']}, this version knows {schema}; update "
                "Robo Trader and import again"
            )
        _require_empty(connection, present, store)
        for name, told in expected.items():
            file = folder / f"{name}.parquet"
            if not told["rows"]:
                continue
            if name not in present or not file.is_file():
                raise InvalidInput(f"{folder} lacks {file.name}, or names a table that is unknown")
            source = f"read_parquet({_quoted(file)})"
            columns = _columns(connection, source)
            found = table_content(connection, source, columns)
            if asdict(found) != told:
                raise InvalidInput(
                    f"{file} does not hold what the manifest says ({found.rows:,} rows where "
                    f"{told['rows']:,} were written); export again, nothing was imported"
                )
            names = ", ".join(f'"{column}"' for column in columns)
            connection.execute(f"INSERT INTO {name} ({names}) SELECT {names} FROM {source}")  # noqa: S608
            contents[name] = table_content(connection, name, present[name])
            rows[name] = found.rows
            progress(f"{name}: {found.rows:,} rows")
    sha256 = whole_content(contents)
    if manifest["schema"] == schema and sha256 != manifest["sha256"]:
        raise InvalidInput(f"the import of {folder} differs from it; restore a backup instead")
    return Imported(str(folder), rows, sha256)


def _write_table(
    connection: DuckDBPyConnection,
    name: str,
    columns: tuple[str, ...],
    folder: Path,
    progress: Progress,
) -> TableContent:
    content = table_content(connection, name, columns)
    keys = [key for key in ORDER if key in columns] or list(columns)
    connection.execute(
        f"COPY (SELECT * FROM {name} ORDER BY {', '.join(keys)}) "  # noqa: S608 - names are ours
        f"TO {_quoted(folder / f'{name}.parquet')} ({FORMAT})"
    )
    progress(f"{name}: {content.rows:,} rows")
    return content


def _require_empty(
    connection: DuckDBPyConnection, tables: dict[str, tuple[str, ...]], store: MarketStore
) -> None:
    for name in tables:
        counted = connection.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608
        if counted and counted[0]:
            raise InvalidInput(
                f"the warehouse {store.path} holds {counted[0]:,} rows of {name}; import into an "
                "empty one: move the file away first, or name another in ROBO_WAREHOUSE"
            )


def _columns(connection: DuckDBPyConnection, source: str) -> tuple[str, ...]:
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608
    return tuple(str(row[0]) for row in described)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        schema, tables = manifest["schema"], manifest["tables"]
        if isinstance(schema, int) and isinstance(tables, dict) and "sha256" in manifest:
            return manifest
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InvalidInput(f"{folder} is no export of the warehouse; make one: robo warehouse export")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
