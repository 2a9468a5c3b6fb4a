"""Execution rows: how one execution or commission goes into the tables, and moves its child.

Everything here works inside a write transaction of the caller.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sqlalchemy import text

from models.domain.errors import HaltTrading, InvalidInput
from models.domain.orders import Fill, Side
from models.execution.child_state import Executed, take
from models.execution.fills import SETTLED
from warehouse.ledger.chain import seal
from warehouse.ledger.child_rows import facts_of
from warehouse.ledger.encoding import (
    moment_of,
    moment_text,
    money_text,
    optional_money,
    optional_money_text,
)
from warehouse.ledger.statements import LedgerConnection, LedgerRow

CURRENCY = "USD"

_REVISIONS = text("SELECT * FROM executions WHERE exec_base = :exec_base")
_INSERT = text(
    "INSERT INTO executions (exec_id, exec_base, revision, superseded, in_opening, account, "
    "order_ref, symbol, side, quantity, price, at, perm_id) VALUES (:exec_id, :exec_base, "
    ":revision, :superseded, :in_opening, :account, :order_ref, :symbol, :side, :quantity, "
    ":price, :at, :perm_id)"
)
_SUPERSEDE = text(
    "UPDATE executions SET superseded = 1 WHERE exec_base = :exec_base AND revision < :revision"
)
_CHILD = text("SELECT * FROM children WHERE order_ref = :order_ref")
_EXECUTED = text(
    "SELECT COALESCE(SUM(latest), 0) AS net, COALESCE(SUM(CASE WHEN is_stated = 1 THEN latest "
    "ELSE largest END), 0) AS gross FROM (SELECT SUM((1 - superseded) * quantity) AS latest, "
    "MAX(quantity) AS largest, CASE WHEN exec_base = :stated THEN 1 ELSE 0 END AS is_stated "
    "FROM executions WHERE order_ref = :order_ref GROUP BY exec_base) AS bases"
)
_UPDATE_CHILD = text(
    "UPDATE children SET executed = :executed, gross = :gross, state = :state, "
    "perm_id = :perm_id WHERE order_ref = :order_ref"
)
_COMMISSION = text(
    "INSERT INTO commissions (exec_id, exec_base, revision, amount, currency, realized_pnl) "
    "VALUES (:exec_id, :exec_base, :revision, :amount, :currency, :realized_pnl) "
    "ON CONFLICT (exec_id) DO UPDATE SET amount = excluded.amount, currency = excluded.currency, "
    "realized_pnl = excluded.realized_pnl WHERE commissions.amount <> excluded.amount OR "
    "commissions.currency <> excluded.currency OR COALESCE(commissions.realized_pnl, '') <> "
    "COALESCE(excluded.realized_pnl, '')"
)


def store_execution(
    connection: LedgerConnection, fill: Fill, account: str, *, in_opening: bool
) -> bool:
    """Store one execution inside a write transaction; return whether it is new and counts.

    `in_opening` marks one that the account's opening cash and positions already contain; its
    later corrections keep the mark.
    """
    if fill.quantity < 0:
        raise InvalidInput(f"execution {fill.exec_id} has {fill.quantity} shares; the side signs")
    rows = connection.execute(_REVISIONS, {"exec_base": fill.exec_base}).all()
    for row in rows:
        if row.revision == fill.revision:
            _require_same(row, fill, account)
            return False
    superseded = any(row.revision > fill.revision for row in rows)
    stored = {
        "exec_id": fill.exec_id,
        "exec_base": fill.exec_base,
        "revision": fill.revision,
        "superseded": int(superseded),
        "in_opening": int(in_opening or any(row.in_opening for row in rows)),
        "account": account,
        "order_ref": fill.order_ref,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": money_text(fill.price),
        "at": moment_text(fill.at),
        "perm_id": fill.perm_id,
    }
    connection.execute(_INSERT, stored)
    seal(connection, "executions", [stored])
    if not fill.exec_id.startswith(SETTLED):
        _replace_statement(connection, fill, account)
    if superseded:
        _update_child(connection, fill)  # a larger earlier revision explains a reported figure
        return False
    connection.execute(_SUPERSEDE, {"exec_base": fill.exec_base, "revision": fill.revision})
    _update_child(connection, fill)
    return True


def _replace_statement(connection: LedgerConnection, fill: Fill, account: str) -> None:
    """Bust what a person stated of this order, now that the broker itself shows executions."""
    key = {"exec_base": f"{SETTLED}{fill.order_ref}"}
    rows = connection.execute(_REVISIONS, key).all()
    if len(rows) == 1:
        stated = _fill_with(rows[0], None)
        bust = replace(stated, exec_id=f"{stated.exec_base}.02", quantity=0)
        store_execution(connection, bust, account, in_opening=False)


def _update_child(connection: LedgerConnection, fill: Fill) -> None:
    key = {"order_ref": fill.order_ref}
    child = child_row(connection, fill.order_ref)
    if child is None:  # not this system's order: it counts in positions and cash only
        return
    stated = {"stated": f"{SETTLED}{fill.order_ref}"}
    sums = connection.execute(_EXECUTED, key | stated).one()
    evidence = Executed(int(sums.gross), int(sums.net))
    store_evidence(connection, child, evidence, child.perm_id or fill.perm_id or None)


def child_row(connection: LedgerConnection, order_ref: str) -> LedgerRow | None:
    """Return the row of a child, or None when the ledger has none of that reference."""
    return connection.execute(_CHILD, {"order_ref": order_ref}).one_or_none()


def store_evidence(
    connection: LedgerConnection, child: LedgerRow, evidence: Executed, perm_id: int | None
) -> None:
    """Let a child row follow what its executions now add up to."""
    after = take(facts_of(child), evidence)
    row = {
        "order_ref": child.order_ref,
        "executed": after.net,
        "gross": after.gross,
        "state": after.state.value,
        "perm_id": perm_id,
    }
    connection.execute(_UPDATE_CHILD, row)


def _require_same(row: LedgerRow, fill: Fill, account: str) -> None:
    stored = (row.account, row.symbol, row.side, row.quantity, Decimal(row.price))
    told = (account, fill.symbol, fill.side.value, fill.quantity, fill.price)
    if stored != told:
        raise HaltTrading(
            f"execution {fill.exec_id} came twice with different content: stored {stored}, now "
            f"{told}; compare the broker's trade confirmations with the ledger before trading on"
        )


def store_commission(
    connection: LedgerConnection,
    exec_id: str,
    amount: Decimal,
    currency: str,
    realized_pnl: Decimal | None,
) -> None:
    """Store a commission report, in place of an earlier one of the same execution id."""
    base, _, suffix = exec_id.rpartition(".")
    row = {
        "exec_id": exec_id,
        "exec_base": base or exec_id,
        "revision": int(suffix) if suffix.isdigit() else 1,
        "amount": money_text(amount),
        "currency": currency,
        "realized_pnl": optional_money_text(realized_pnl),
    }
    if connection.execute(_COMMISSION, row).rowcount:  # not a repetition
        seal(connection, "commissions", [row])


def fill_of(row: LedgerRow) -> Fill:
    """Return the fill of a row of executions joined with their commissions."""
    return _fill_with(row, optional_money(row.amount if row.currency == CURRENCY else None))


def _fill_with(row: LedgerRow, commission: Decimal | None) -> Fill:
    return Fill(
        exec_id=row.exec_id,
        order_ref=row.order_ref,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=Decimal(row.price),
        at=moment_of(row.at),
        perm_id=row.perm_id,
        commission=commission,
    )
