"""Executions and commissions, and what follows from them: fills, positions and cash.

Executions are keyed by the part of the execution id that a correction keeps. Every revision is
stored; only the highest counts. So the sums do not depend on the order or number of deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from models.domain.errors import HaltTrading, InvalidInput
from models.domain.orders import Fill, Side
from models.execution.child_state import Executed, take
from models.execution.fills import explained_by_read
from warehouse.ledger.chain import seal
from warehouse.ledger.children import facts_of
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import (
    moment_of,
    moment_text,
    money_text,
    optional_money,
    optional_money_text,
)

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
    "SELECT COALESCE(SUM(latest), 0) AS net, COALESCE(SUM(largest), 0) AS gross FROM "
    "(SELECT SUM((1 - superseded) * quantity) AS latest, MAX(quantity) AS largest "
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
# A corrected execution keeps the commission of an earlier revision until its own is reported; a
# bust (quantity 0) has only its own, or none.
_FILLS = (
    "SELECT executions.*, commissions.amount, commissions.currency FROM executions "
    "LEFT JOIN commissions ON commissions.exec_base = executions.exec_base "
    "AND commissions.revision = (SELECT MAX(told.revision) FROM commissions AS told "
    "WHERE told.exec_base = executions.exec_base AND told.revision <= executions.revision "
    "AND (executions.quantity > 0 OR told.revision = executions.revision)) "
)
_ORDER = " ORDER BY executions.at, executions.exec_id"
_OF_ACCOUNT = text(
    _FILLS + "WHERE executions.account = :account AND superseded = 0 AND in_opening = 0" + _ORDER
)
_OF_PARENT = text(
    _FILLS + "JOIN children ON children.order_ref = executions.order_ref "
    "WHERE children.parent_id = :parent_id AND superseded = 0" + _ORDER
)
_REVISIONS_OF_PARENT = text(
    _FILLS + "JOIN children ON children.order_ref = executions.order_ref "
    "WHERE children.parent_id = :parent_id" + _ORDER
)
_OF_ORDER = text(_FILLS + "WHERE executions.order_ref = :order_ref" + _ORDER)
_OPENING = text("SELECT cash FROM accounts WHERE account = :account")
_OPENING_POSITIONS = text("SELECT symbol, quantity FROM opening_positions WHERE account = :account")
_NET_FILLS = text(
    "SELECT symbol, SUM(CASE side WHEN 'BUY' THEN quantity ELSE -quantity END) AS quantity "
    "FROM executions WHERE account = :account AND superseded = 0 AND in_opening = 0 GROUP BY symbol"
)


@dataclass(frozen=True, slots=True)
class CashView:
    """Cash in USD as the ledger derives it.

    `amount` leaves out the commissions of `unknown_commissions` executions that none was reported
    for yet, or one in another currency.
    """

    amount: Decimal
    unknown_commissions: int


class Executions:
    """The executions of every account."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def record(self, fill: Fill, account: str) -> bool:
        """Store one execution; return whether it is new and counts.

        A higher revision replaces a lower one, quantity 0 takes it out of the sums (a bust). The
        child's filled quantity and state follow in the same transaction. Raises HaltTrading when
        the same execution id comes again with another symbol, side, quantity or price.
        """
        with self._store.write() as connection:
            counts = store_execution(connection, fill, account, in_opening=False)
            if fill.commission is not None:
                _store_commission(connection, fill.exec_id, fill.commission, CURRENCY, None)
        return counts

    def record_commission(
        self,
        exec_id: str,
        amount: Decimal,
        currency: str = CURRENCY,
        realized_pnl: Decimal | None = None,
    ) -> None:
        """Store a commission report, before or after its execution; the latest report counts."""
        with self._store.write() as connection:
            _store_commission(connection, exec_id, amount, currency, realized_pnl)

    def explain_reported(self, order_ref: str) -> None:
        """Take in that a complete read of this order's executions is done.

        Shares that its statuses reported and no execution shows were then in revisions that
        corrections have replaced; without a correction they stay open.
        """
        key = {"order_ref": order_ref}
        with self._store.write() as connection:
            child = connection.execute(_CHILD, key).one_or_none()
            if child is None or child.reported <= child.gross:
                return
            known = tuple(_fill(row) for row in connection.execute(_OF_ORDER, key))
            shares = explained_by_read(child.reported, known)
            _store_evidence(connection, child, Executed(shares, child.executed), child.perm_id)

    def fills_of(self, parent_id: str) -> tuple[Fill, ...]:
        """Return the current executions of a parent by time, busts included with quantity 0."""
        return self._fills(_OF_PARENT, {"parent_id": parent_id})

    def revisions_of(self, parent_id: str) -> tuple[Fill, ...]:
        """Return every revision of every execution of a parent by time, superseded ones too."""
        return self._fills(_REVISIONS_OF_PARENT, {"parent_id": parent_id})

    def fills_of_account(self, account: str) -> tuple[Fill, ...]:
        """Return every current execution since the account's opening, ours or not, by time."""
        return self._fills(_OF_ACCOUNT, {"account": account})

    def positions(self, account: str) -> dict[str, int]:
        """Return signed shares by symbol, zeros left out: opening positions and all fills since.

        Raises InvalidInput when the account has no recorded opening.
        """
        key = {"account": account}
        with self._store.read() as connection:
            _opening_cash(connection, account)
            held = {
                row.symbol: int(row.quantity) for row in connection.execute(_OPENING_POSITIONS, key)
            }
            for row in connection.execute(_NET_FILLS, key):
                held[row.symbol] = held.get(row.symbol, 0) + int(row.quantity)
        return {symbol: held[symbol] for symbol in sorted(held) if held[symbol]}

    def cash(self, account: str) -> CashView:
        """Return opening cash less signed notional less commissions of all fills since, in USD.

        Raises InvalidInput when the account has no recorded opening.
        """
        unknown = 0
        with self._store.read() as connection:
            amount = _opening_cash(connection, account)
            for row in connection.execute(_OF_ACCOUNT, {"account": account}):
                fill = _fill(row)
                amount -= fill.side.sign * fill.quantity * fill.price
                if fill.commission is not None:
                    amount -= fill.commission
                elif fill.quantity > 0:
                    unknown += 1
        return CashView(amount, unknown)

    def _fills(self, statement: Any, key: dict[str, str]) -> tuple[Fill, ...]:
        with self._store.read() as connection:
            return tuple(_fill(row) for row in connection.execute(statement, key))


def store_execution(connection: Connection, fill: Fill, account: str, *, in_opening: bool) -> bool:
    """Store one execution inside a write transaction; return whether it is new and counts.

    `in_opening` marks one that the account's opening cash and positions already contain; its
    later corrections keep the mark.
    """
    if fill.quantity < 0:
        raise InvalidInput(f"execution {fill.exec_id} has {fill.quantity} shares; the side signs")
    rows = connection.execute(_REVISIONS, {"exec_base": fill.exec_base}).all()
    for known in rows:
        if known.revision == fill.revision:
            _require_same(known, fill, account)
            return False
    superseded = any(known.revision > fill.revision for known in rows)
    row = {
        "exec_id": fill.exec_id,
        "exec_base": fill.exec_base,
        "revision": fill.revision,
        "superseded": int(superseded),
        "in_opening": int(in_opening or any(known.in_opening for known in rows)),
        "account": account,
        "order_ref": fill.order_ref,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": money_text(fill.price),
        "at": moment_text(fill.at),
        "perm_id": fill.perm_id,
    }
    connection.execute(_INSERT, row)
    seal(connection, "executions", [row])
    if superseded:
        _update_child(connection, fill)  # a larger earlier revision explains a reported figure
        return False
    connection.execute(_SUPERSEDE, {"exec_base": fill.exec_base, "revision": fill.revision})
    _update_child(connection, fill)
    return True


def _update_child(connection: Connection, fill: Fill) -> None:
    key = {"order_ref": fill.order_ref}
    child = connection.execute(_CHILD, key).one_or_none()
    if child is None:  # not this system's order: it counts in positions and cash only
        return
    sums = connection.execute(_EXECUTED, key).one()
    evidence = Executed(int(sums.gross), int(sums.net))
    _store_evidence(connection, child, evidence, child.perm_id or fill.perm_id or None)


def _store_evidence(
    connection: Connection, child: Row[Any], evidence: Executed, perm_id: int | None
) -> None:
    after = take(facts_of(child), evidence)
    row = {
        "order_ref": child.order_ref,
        "executed": after.net,
        "gross": after.gross,
        "state": after.state.value,
        "perm_id": perm_id,
    }
    connection.execute(_UPDATE_CHILD, row)


def _require_same(row: Row[Any], fill: Fill, account: str) -> None:
    stored = (row.account, row.symbol, row.side, row.quantity, Decimal(row.price))
    told = (account, fill.symbol, fill.side.value, fill.quantity, fill.price)
    if stored != told:
        raise HaltTrading(
            f"execution {fill.exec_id} came twice with different content: stored {stored}, now "
            f"{told}; compare the broker's trade confirmations with the ledger before trading on"
        )


def _store_commission(
    connection: Connection,
    exec_id: str,
    amount: Decimal,
    currency: str,
    realized_pnl: Decimal | None,
) -> None:
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


def _opening_cash(connection: Connection, account: str) -> Decimal:
    row = connection.execute(_OPENING, {"account": account}).one_or_none()
    if row is None:
        raise InvalidInput(
            f"the ledger has no opening balance of account {account!r}; "
            "run robo reconcile, which records it at first contact"
        )
    return Decimal(row.cash)


def _fill(row: Row[Any]) -> Fill:
    amount: str | None = row.amount if row.currency == CURRENCY else None
    return Fill(
        exec_id=row.exec_id,
        order_ref=row.order_ref,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=Decimal(row.price),
        at=moment_of(row.at),
        perm_id=row.perm_id,
        commission=optional_money(amount),
    )
