"""The state file: one gateway at a time, refused when it cannot be used."""

import json
import sqlite3
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.engine.journal import Journal
from models.domain.errors import InvalidInput, RetryLater


def test_a_second_gateway_on_the_same_state_is_refused(tmp_path):
    first = Journal(tmp_path)
    with pytest.raises(RetryLater, match=r"another gateway \(pid \d+\)"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()


def test_state_of_another_version_is_refused_and_reset_forgets_it(tmp_path):
    Journal(tmp_path).close()
    with sqlite3.connect(tmp_path / "gateway.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(InvalidInput, match="schema 99"):
        Journal(tmp_path)
    Journal(tmp_path, reset=True).close()


@pytest.mark.parametrize("schema", [1, 2, 99])
def test_the_command_says_what_to_do_with_state_of_another_version(tmp_path, schema):
    Journal(tmp_path).close()
    with sqlite3.connect(tmp_path / "gateway.sqlite") as db:
        db.execute(f"PRAGMA user_version={schema}")
    db.close()
    result = CliRunner().invoke(app, ["run", "--state-dir", str(tmp_path)])
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "move the whole of it away" in said and "start with --reset --yes" in said


def test_state_that_lacks_only_what_has_defaults_is_read_on(tmp_path, closes, desk_class):
    desk = desk_class(tmp_path, closes)
    kept = desk.place(kind="LMT", limit=Decimal("1.00"), tif="GTC", discretionaryAmt=Decimal("0.0"))
    desk.events()
    desk.close()
    with sqlite3.connect(tmp_path / "gateway.sqlite") as db:
        (state,) = db.execute("SELECT state FROM orders").fetchone()
        fields = {k: v for k, v in json.loads(state).items() if k not in {"manual", "bound"}}
        db.execute("UPDATE orders SET state = ?", (json.dumps(fields),))
        db.execute("PRAGMA user_version=3")
    db.close()
    again = desk_class(tmp_path, closes)
    (order,) = again.exchange.open_orders()
    assert (order.perm_id, order.manual) == (kept.perm_id, False)
    change = {"tif": "GTC", "discretionaryAmt": Decimal("0.0"), "limit": Decimal("1.10")}
    again.place(kind="LMT", order_id=order.order_id, **change)
    assert order.limit == 110
    again.close()


def test_a_folder_that_cannot_be_used_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InvalidInput, match="--state-dir"):
        Journal(tmp_path / "file")
    (tmp_path / "gateway.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(InvalidInput, match="--state-dir"):
        Journal(tmp_path)


def test_everything_comes_back(desk, tmp_path, closes, desk_class):
    desk.go("15:00:00")
    desk.place(0, shares=300, order_id=5)
    desk.place(0, shares=10, order_id=7, client_id=4)
    desk.events()
    desk.close()
    again = desk_class(tmp_path / "state", closes)
    ours, theirs = desk.exchange, again.exchange
    assert theirs.now == ours.now
    assert theirs.orders.keys() == ours.orders.keys()
    assert {e.exec_id: e for e in theirs.executions.values()} == ours.executions
    assert theirs.account == ours.account
    assert theirs.next_ids == {1: 6, 4: 8}
    assert theirs.market.disturbance == ours.market.disturbance
    cash = theirs.account.cash
    again.go("15:00:01")
    due = sum(e.commission for e in theirs.executions.values())
    assert due == 250
    assert theirs.account.cash == cash - due
    again.close()
