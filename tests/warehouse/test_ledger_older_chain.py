"""A ledger whose children were sealed before they held their checks reads on in the same chain."""

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from models.domain.orders import ChildState
from warehouse.ledger import OrderLedger
from warehouse.ledger.connection import MIGRATIONS
from warehouse.versions import load_migrations

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
AT = "2024-01-02T15:30:00.000000Z"
LAST = 8  # the last step before checks were part of an intent
REF = "p-KO.1.1"
CHILD = ("p-KO", 1, 1, "SIM1", 11, 5, "KO", "BUY", 3, "50.5", "IOC", "LMT", None, "", AT)
EVENT = (AT, "checks", REF, '{"verdicts":[["halt",true,"no halt is in force",{}]]}')


def sealed(connection, rows):
    """Link rows as that version did: by the JSON of their columns."""
    digest = "0" * 64
    for seq, (table, key, values) in enumerate(rows, 1):
        content = hashlib.sha256(json.dumps([table, key, *values]).encode()).hexdigest()
        digest = hashlib.sha256(json.dumps([digest, seq, table, key, content]).encode()).hexdigest()
        connection.execute(
            "INSERT INTO chain VALUES (?, ?, ?, ?, ?)", (seq, table, key, content, digest)
        )


@pytest.fixture
def older(tmp_path):
    """A ledger of that version, with one child and the event that holds its checks."""
    path = tmp_path / "older.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, "
            "checksum TEXT NOT NULL, applied_at TEXT NOT NULL)"
        )
        for step in load_migrations(MIGRATIONS)[:LAST]:
            for statement in step.statements():
                connection.execute(statement)
            row = (step.version, step.name, step.checksum)
            connection.execute("INSERT INTO schema_migrations VALUES (?, ?, ?, 'then')", row)
        connection.execute(
            "INSERT INTO parents (parent_id, session, strategy, plan_no, symbol, side, quantity, "
            "algo, start_at, end_at, decision_price, decided_at, model_version, state) VALUES "
            "('p-KO', '2024-01-02', 's', 1, 'KO', 'BUY', 9, 'TWAP', '2024', '2025', '50', "
            "'2024', 'm/1', 'WORKING')"
        )
        connection.execute("INSERT INTO order_ids VALUES ('SIM1', 11, 5, 'p-KO', 1)")
        connection.execute(
            "INSERT INTO children (order_ref, parent_id, slice_no, attempt, account, client_id, "
            "order_id, symbol, side, quantity, limit_price, tif, kind, stop_price, oca_group, "
            "committed_at, state) VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'INTENT')",
            (REF, *CHILD),
        )
        connection.execute("INSERT INTO broker_events VALUES (1, ?, ?, ?, ?)", EVENT)
        sealed(connection, [("children", REF, CHILD), ("broker_events", "1", EVENT)])
    return path


def test_a_chain_of_before_is_whole_and_goes_on(older):
    with OrderLedger(f"sqlite:///{older}") as ledger:
        assert ledger.audit("SIM1").contradictions == ()
        assert ledger.audit("SIM1").links == 2
        (trail,) = ledger.trail.children("p-KO")
        assert (trail.order_ref, trail.checks) == (REF, ())
        ledger.events.append("note", REF, {}, NOW)
        assert ledger.audit("SIM1").links == 3


@pytest.mark.parametrize("put", ["[]", "x"])
def test_checks_slipped_into_a_child_of_before_are_found(older, put):
    with OrderLedger(f"sqlite:///{older}") as ledger:
        with closing(sqlite3.connect(older)) as connection, connection:
            connection.execute("UPDATE children SET checks = ?", (put,))
        assert ledger.audit("SIM1").contradictions == (
            f"children {REF} was altered after it was written",
        )


@pytest.mark.parametrize("put", [None, "[]"])
def test_checks_taken_from_an_intent_are_found(tmp_path, older, make_child, put):
    with OrderLedger(f"sqlite:///{older}") as ledger:
        child = make_child(2, 1, parent_id="p-KO", symbol="KO")
        ledger.children.record_status(REF, ChildState.CANCELLED)
        checks = [["halt", True, "no halt is in force"]]
        ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=6, at=NOW, checks=checks)
        assert ledger.trail.children("p-KO")[1].checks == tuple(checks)
        with closing(sqlite3.connect(older)) as connection, connection:
            connection.execute("UPDATE children SET checks = ? WHERE slice_no = 2", (put,))
        assert ledger.audit("SIM1").contradictions == (
            "children p-KO.2.1 was altered after it was written",
        )
