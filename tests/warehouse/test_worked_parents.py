"""The notes on a worked parent: the first stays, and those of old ledgers are carried over."""

import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from warehouse.ledger import OrderLedger
from warehouse.ledger.connection import MIGRATIONS
from warehouse.ledger.encoding import json_text, moment_text

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def test_the_first_note_of_each_kind_stays(ledger: OrderLedger) -> None:
    worked = ledger.worked
    assert worked.slices("p") is None
    assert worked.mid("p", "arrival") is None
    worked.note_slices("p", 13, NOW)
    worked.note_slices("p", 1, LATER)
    worked.note_mid("p", "arrival", Decimal("186.005"), NOW)
    worked.note_mid("p", "arrival", Decimal("190"), LATER)
    worked.note_mid("p", "end", Decimal("187.10"), LATER)
    assert worked.slices("p") == 13
    assert str(worked.mid("p", "arrival")) == "186.005"
    assert str(worked.mid("p", "end")) == "187.10"
    assert worked.slices("q") is None


def test_the_journal_rows_of_an_old_ledger_are_carried_over(
    ledger_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledger is opened first as the version that knew only the journal."""
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy(MIGRATIONS / "0001_order_ledger.sql", old)
    with monkeypatch.context() as patch:
        patch.setattr("warehouse.ledger.connection.MIGRATIONS", old)
        with OrderLedger(ledger_url) as before:
            for number, (kind, payload) in enumerate(
                [
                    ("schedule", {"slices": 7}),
                    ("schedule", {"slices": 9}),
                    ("arrival", {"mid": "185.995"}),
                    ("order_status", {"mid": "1"}),
                    ("arrival", {"mid": "200"}),
                    ("end", {"mid": "186.10"}),
                ]
            ):
                at = moment_text(NOW + timedelta(seconds=number))
                row = (number, at, kind, "20240102-ml-AAPL", json_text(payload))
                with before._store.write() as connection:  # as that version did
                    connection.execute(
                        text("INSERT INTO broker_events VALUES (:a, :b, :c, :d, :e)"),
                        dict(zip("abcde", row, strict=True)),
                    )
    with OrderLedger(ledger_url) as ledger:
        parent_id = "20240102-ml-AAPL"
        assert ledger.worked.slices(parent_id) == 7
        assert str(ledger.worked.mid(parent_id, "arrival")) == "185.995"
        assert str(ledger.worked.mid(parent_id, "end")) == "186.10"
        assert len(ledger.events.of_order(parent_id)) == 6, "the journal stays as it was"
