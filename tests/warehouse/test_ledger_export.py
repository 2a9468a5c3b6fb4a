"""An export is what the ledger holds, and DuckDB reads it in place."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from models.domain.errors import InvalidInput
from warehouse.ledger import OrderLedger
from warehouse.ledger.backup import sha256_of

NOW = datetime(2024, 1, 2, 22, 0, tzinfo=UTC)


def quiet(_: str) -> None:
    """Take a line of progress and show it to nobody."""


def test_every_table_is_a_file_with_its_schema_and_hash(
    filled: OrderLedger, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    done = filled.export(folder, NOW, quiet)
    audit = filled.audit("SIM1")
    assert {name: table.rows for name, table in done.tables.items()} == {
        name: rows for name, rows in audit.rows.items() if name != "schema_migrations"
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["head"], manifest["schema"]) == (audit.head, audit.schema)
    for name, table in manifest["tables"].items():
        path = folder / table["file"]
        assert (sha256_of(path), path.stat().st_size) == (table["sha256"], table["size"])
        metadata = pq.read_schema(path).metadata
        assert metadata[b"ledger_table"] == name.encode()
        assert metadata[b"ledger_head"] == audit.head.encode()


def test_duckdb_reads_it_with_types_through_the_views(
    filled: OrderLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.export(tmp_path / "out", NOW, quiet)
    monkeypatch.chdir(tmp_path / "out")
    with duckdb.connect() as connection:
        connection.execute((tmp_path / "out" / "views.sql").read_text())
        row = connection.execute(
            "SELECT symbol, quantity, price, amount, date_trunc('minute', at_utc) "
            "FROM ledger_executions JOIN ledger_commissions USING (exec_id)"
        ).fetchone()
    assert row == ("AAPL", 10, Decimal("186.05"), Decimal(1), datetime(2024, 1, 2, 15, 30))


def test_a_folder_with_files_is_left_alone(filled: OrderLedger, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "mine.txt").write_text("x")
    with pytest.raises(InvalidInput, match="not empty"):
        filled.export(folder, NOW, quiet)
    with pytest.raises(InvalidInput, match="cannot be written"):
        filled.export(folder / "mine.txt" / "deeper", NOW, quiet)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
