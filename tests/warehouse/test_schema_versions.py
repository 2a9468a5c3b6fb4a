from pathlib import Path

import pytest

from models.domain.errors import InvalidInput
from warehouse.versions import ROOT, Migration, load_migrations, pending_migrations


def step(version: int, sql: str = "") -> Migration:
    return Migration(version, f"step{version}", sql, f"sum{version}")


def test_the_shipped_migrations_load() -> None:
    for folder in ("ledger", "market"):
        steps = load_migrations(ROOT / folder)
        assert [found.version for found in steps] == list(range(1, len(steps) + 1))
        assert all(statement.startswith("CREATE") for statement in steps[0].statements())


def test_statements_leave_comments_out() -> None:
    sql = "-- first; not a statement\nCREATE TABLE a (x TEXT);\n\nCREATE TABLE b (y TEXT);\n"
    assert step(1, sql).statements() == ("CREATE TABLE a (x TEXT)", "CREATE TABLE b (y TEXT)")


def test_only_what_is_missing_is_pending() -> None:
    known = (step(1), step(2), step(3))
    assert pending_migrations(known, {}, "x") == known
    assert pending_migrations(known, {1: "sum1"}, "x") == known[1:]
    assert pending_migrations(known, {1: "sum1", 2: "sum2", 3: "sum3"}, "x") == ()


def test_a_newer_or_edited_store_is_refused() -> None:
    with pytest.raises(InvalidInput, match="x was written by a newer version"):
        pending_migrations((step(1),), {1: "sum1", 2: "sum2"}, "x")
    with pytest.raises(InvalidInput, match="another form"):
        pending_migrations((step(1), step(2)), {1: "edited"}, "x")


@pytest.mark.parametrize("names", [[], ["0002_b.sql"], ["0001_a.sql", "0003_c.sql"]])
def test_a_gap_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("CREATE TABLE a (x TEXT);")
    with pytest.raises(InvalidInput, match="without a gap"):
        load_migrations(tmp_path)
