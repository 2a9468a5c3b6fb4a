"""A quick look at whether the ledger agrees with itself."""

from __future__ import annotations

from sqlalchemy import text

from warehouse.ledger.connection import LedgerStore

_CHILD_SUMS = text(
    "SELECT children.order_ref, children.executed, COALESCE(SUM(executions.quantity), 0) AS total "
    "FROM children LEFT JOIN executions ON executions.order_ref = children.order_ref "
    "AND executions.superseded = 0 GROUP BY children.order_ref, children.executed "
    "HAVING children.executed <> COALESCE(SUM(executions.quantity), 0) ORDER BY children.order_ref"
)
_REPORTED = text(
    "SELECT order_ref, gross, reported FROM children WHERE reported > gross "
    "AND state IN ('FILLED', 'CANCELLED', 'REJECTED', 'NEVER_SENT') ORDER BY order_ref"
)
_OVERFILLED_CHILDREN = text(
    "SELECT order_ref, executed, quantity FROM children WHERE executed > quantity "
    "ORDER BY order_ref"
)
_OVERFILLED_PARENTS = text(
    "SELECT parents.parent_id, parents.quantity, SUM(children.executed) AS executed "
    "FROM parents JOIN children ON children.parent_id = parents.parent_id "
    "GROUP BY parents.parent_id, parents.quantity "
    "HAVING SUM(children.executed) > parents.quantity ORDER BY parents.parent_id"
)
_OTHER_SECURITY = text(
    "SELECT executions.exec_id, executions.order_ref, executions.side, executions.symbol "
    "FROM executions JOIN children ON children.order_ref = executions.order_ref "
    "WHERE executions.symbol <> children.symbol OR executions.side <> children.side "
    "ORDER BY executions.exec_id"
)
_CURRENT = text(
    "SELECT exec_base FROM executions GROUP BY exec_base "
    "HAVING SUM(1 - superseded) <> 1 ORDER BY exec_base"
)


def check_ledger(store: LedgerStore) -> list[str]:
    """Return every contradiction found, in words; empty when all is well."""
    found: list[str] = []
    with store.read() as connection:
        if store.is_sqlite:
            answers = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            found += [f"SQLite integrity: {answer}" for answer in answers if answer != "ok"]
        for row in connection.execute(_CHILD_SUMS):
            found.append(
                f"{row.order_ref} counts {row.executed} executed shares, its executions {row.total}"
            )
        for row in connection.execute(_REPORTED):
            found.append(
                f"{row.order_ref} ended with {row.reported} shares filled by its status, "
                f"but {row.gross} by executions: some have not come"
            )
        for row in connection.execute(_OVERFILLED_CHILDREN):
            found.append(f"{row.order_ref} is overfilled: {row.executed} of {row.quantity} shares")
        for row in connection.execute(_OVERFILLED_PARENTS):
            found.append(f"{row.parent_id} is overfilled: {row.executed} of {row.quantity} shares")
        for row in connection.execute(_OTHER_SECURITY):
            found.append(
                f"execution {row.exec_id} ({row.side} {row.symbol}) names {row.order_ref}, "
                "which is another order"
            )
        for row in connection.execute(_CURRENT):
            found.append(f"execution {row.exec_base} has not exactly one current revision")
    return found
