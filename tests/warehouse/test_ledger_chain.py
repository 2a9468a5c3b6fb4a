"""A row that was altered, removed or slipped in is found and named, on either database."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from warehouse.ledger import OrderLedger
from warehouse.ledger.chain import SEALED
from warehouse.ledger.connection import MIGRATIONS
from warehouse.versions import load_migrations

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
Tamper = Callable[[str], None]


@pytest.fixture
def tamper(ledger_url: str) -> Iterator[Tamper]:
    """Change the database behind the ledger's back."""
    engine = create_engine(ledger_url)

    def do(statement: str) -> None:
        with engine.begin() as connection:
            changed = connection.execute(text(statement))
            assert changed.rowcount != 0, "nothing was tampered with"

    yield do
    engine.dispose()


def test_what_the_ledger_wrote_itself_is_whole(filled: OrderLedger) -> None:
    before = filled.audit("SIM1")
    assert before.contradictions == ()
    assert before.links == 9
    # Deliveries again, a later commission report and a state that moves on break nothing.
    filled.executions.record_commission("0001.aa.01", Decimal(1))
    assert filled.audit("SIM1").head == before.head
    filled.executions.record_commission("0001.aa.01", Decimal("1.05"))
    filled.halts.halt("x", "y", NOW)
    after = filled.audit("SIM1")
    assert after.contradictions == ()
    assert (after.links, after.head != before.head) == (10, True)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE broker_events SET payload = '{}' WHERE id = 1", "broker_events 1 was altered"),
        ("UPDATE broker_events SET at = '2020' WHERE id = 2", "broker_events 2 was altered"),
        ("DELETE FROM broker_events WHERE id = 2", "broker_events 2 was removed"),
        (
            "INSERT INTO broker_events VALUES (3, '2024', 'x', '', '{}')",
            "broker_events 3 was added behind",
        ),
        ("UPDATE executions SET price = '1'", "executions 0001.aa.01 was altered"),
        ("UPDATE children SET quantity = 11", "children 20240102-ml-AAPL.0.1 was altered"),
        ("UPDATE children SET checks = '[]'", "children 20240102-ml-AAPL.0.1 was altered"),
        ("UPDATE commissions SET amount = '0'", "commissions 0001.aa.01 was altered"),
        ("DELETE FROM commissions", "commissions 0001.aa.01 was removed"),
        ("UPDATE risk_checks SET passed = 0", "risk_checks 1 was altered"),
        ("UPDATE parent_mids SET mid = '1'", "parent_mids 20240102-ml-AAPL arrival was altered"),
        ("UPDATE accounts SET cash = '9999999'", "accounts SIM1 was altered"),
        ("UPDATE opening_positions SET quantity = 6", "opening_positions SIM1 KO was altered"),
        ("DELETE FROM chain WHERE seq = 3", "lacks its links 3 to 3"),
        ("UPDATE chain SET row_digest = 'x' WHERE seq = 4", "link 4 of the hash chain"),
    ],
)
def test_a_tampered_row_is_found_and_named(
    filled: OrderLedger, tamper: Tamper, statement: str, named: str
) -> None:
    tamper(statement)
    assert any(named in text for text in filled.audit("SIM1").contradictions)


def test_every_column_that_is_written_once_is_sealed(filled: OrderLedger) -> None:
    moving = {
        "children": {"perm_id", "state", "executed", "gross", "reported", "reason", "sent_at"},
        "executions": {"superseded"},
    }
    schema = "\n".join(step.sql for step in load_migrations(MIGRATIONS))
    for table, (keys, columns) in SEALED.items():
        body = schema.partition(f"CREATE TABLE {table} (")[2].partition("\n);")[0]
        lines = [line.split()[0] for line in body.splitlines() if line.startswith("    ")]
        added = [part.split()[0] for part in schema.split(f"ALTER TABLE {table} ADD COLUMN ")[1:]]
        named = {word for word in [*lines, *added] if word.isidentifier() and word.islower()}
        assert named == {*keys, *columns} | moving.get(table, set()), table


def test_a_ledger_from_before_the_chain_is_sealed_as_it_is(tmp_path: Path, make_fill) -> None:
    url = f"sqlite:///{tmp_path}/old.sqlite"
    engine = create_engine(url)
    first = load_migrations(MIGRATIONS)[0]
    with engine.begin() as connection:
        for statement in first.statements():
            connection.execute(text(statement))
        connection.execute(
            text(
                "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, "
                "checksum TEXT NOT NULL, applied_at TEXT NOT NULL)"
            )
        )
        connection.execute(
            text("INSERT INTO schema_migrations VALUES (1, 'order_ledger', :sum, 'then')"),
            {"sum": first.checksum},
        )
        connection.execute(text("INSERT INTO broker_events VALUES (1, '2024', 'x', '', '{}')"))
        connection.execute(text("INSERT INTO accounts VALUES ('SIM1', '100', '2024')"))
    with OrderLedger(url) as ledger:
        assert ledger.audit("").contradictions == ()
        assert ledger.audit("").links == 2
        ledger.executions.record(make_fill("a.01", order_ref=""), "SIM1")
        assert ledger.audit("").links == 3
    with engine.begin() as connection:
        connection.execute(text("UPDATE broker_events SET kind = 'y'"))
    engine.dispose()
    with OrderLedger(url) as ledger:
        assert ledger.audit("").contradictions == (
            "broker_events 1 was altered after it was written",
        )
