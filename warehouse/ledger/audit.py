"""The whole audit behind `robo ledger check`: storage, seals, sums, and where each fill is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text

from warehouse.ledger.accounts import Accounts
from warehouse.ledger.adjustments import Adjustments
from warehouse.ledger.chain import chain_head, check_chain
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.executions import Executions
from warehouse.ledger.integrity import check_ledger
from warehouse.ledger.pnl import lots_disagree, transfers_of
from warehouse.ledger.statements import LedgerConnection

_TABLES_SQLITE = text(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
)
_TABLES_SERVER = text(
    "SELECT table_name AS name FROM information_schema.tables "
    "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name"
)
_SCHEMA = text("SELECT MAX(version) FROM schema_migrations")
_ORIGINS = text(
    "SELECT executions.exec_id, executions.order_ref, executions.in_opening, children.order_ref "
    "AS ours, children.account AS child_account, executions.account FROM executions "
    "LEFT JOIN children ON children.order_ref = executions.order_ref "
    "WHERE executions.superseded = 0 ORDER BY executions.exec_id"
)
_PARENTS = text("SELECT parent_id FROM parents")
_WITHOUT_EXECUTION = text(
    "SELECT DISTINCT commissions.exec_base FROM commissions LEFT JOIN executions "
    "ON executions.exec_base = commissions.exec_base WHERE executions.exec_base IS NULL "
    "ORDER BY commissions.exec_base"
)


@dataclass(frozen=True, slots=True)
class LedgerAudit:
    """What was looked at and every contradiction found, in words; `head` seals all of it.

    `own`, `external` and `opening` count current executions: of this system's orders, of others',
    and those that the opening balance already contains. `waiting` are commission reports whose
    execution has not come, which is no contradiction.
    """

    place: str
    account: str
    schema: int
    rows: Mapping[str, int]
    links: int
    head: str
    own: int
    external: int
    opening: int
    waiting: tuple[str, ...]
    contradictions: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Say whether nothing contradicts anything."""
        return not self.contradictions


def audit_ledger(
    store: LedgerStore,
    accounts: Accounts,
    executions: Executions,
    adjustments: Adjustments,
    account: str,
) -> LedgerAudit:
    """Look at everything in one consistent view; `account` may be empty before first contact."""
    found = check_ledger(store)
    with store.read() as connection:
        if store.is_sqlite:
            for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
                found.append(f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is gone")
        found += check_chain(connection)
        head = chain_head(connection)
        own, external, opening = _origins(connection, found)
        rows = table_rows(connection, is_sqlite=store.is_sqlite)
        schema = int(connection.execute(_SCHEMA).scalar_one())
        waiting = tuple(str(row.exec_base) for row in connection.execute(_WITHOUT_EXECUTION))
    if account:
        moved = transfers_of(adjustments, account)
        other_cash = sum((one.amount for one in adjustments.of_cash(account)), Decimal(0))
        found += lots_disagree(accounts, executions, account, moved, other_cash)
    return LedgerAudit(
        place=store.place,
        account=account,
        schema=schema,
        rows=rows,
        links=head.seq,
        head=head.digest,
        own=own,
        external=external,
        opening=opening,
        waiting=waiting,
        contradictions=tuple(found),
    )


def table_rows(connection: LedgerConnection, *, is_sqlite: bool) -> dict[str, int]:
    """Return the number of rows of every table, by name."""
    names = connection.execute(_TABLES_SQLITE if is_sqlite else _TABLES_SERVER).scalars().all()
    return {
        name: int(connection.execute(text(f'SELECT COUNT(*) FROM "{name}"')).scalar_one())  # noqa: S608
        for name in names
    }


def _origins(connection: LedgerConnection, found: list[str]) -> tuple[int, int, int]:
    """Count current executions by origin; one that names an order never committed is a finding."""
    parents = set(connection.execute(_PARENTS).scalars())
    own = external = opening = 0
    for row in connection.execute(_ORIGINS):
        if row.in_opening:
            opening += 1
        elif row.ours is None:
            external += 1
            if row.order_ref.rsplit(".", 2)[0] in parents:
                found.append(
                    f"execution {row.exec_id} is of {row.order_ref}, which names a parent of this "
                    "ledger, but no such intent was committed"
                )
        else:
            own += 1
            if row.account != row.child_account:
                found.append(
                    f"execution {row.exec_id} is in account {row.account}, "
                    f"its order {row.order_ref} in {row.child_account}"
                )
    return own, external, opening
