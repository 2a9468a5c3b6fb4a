"""How much room a parent has for another child.

The view parent_exposures says the same of every parent; to find one, a database works all of them
out.
"""

from __future__ import annotations

from sqlalchemy import text

_ALIVE = (
    "CASE WHEN own.state IN ('FILLED', 'CANCELLED', 'REJECTED', 'NEVER_SENT') THEN 0 "
    "ELSE own.quantity END"
)
_DONE = (
    "(own.executed + CASE WHEN own.reported > own.gross THEN own.reported - own.gross ELSE 0 END)"
)
# Of a one-cancels-all group only one can fill: it counts once.
_EXPOSURE = (
    f"((SELECT COALESCE(SUM(CASE WHEN {_ALIVE} > {_DONE} THEN {_ALIVE} ELSE {_DONE} END), 0) "  # noqa: S608
    "FROM children AS own WHERE own.parent_id = :parent_id AND own.oca_group = '') + "
    "(SELECT COALESCE(SUM(CASE WHEN alive > done THEN alive ELSE done END), 0) FROM ("
    f"SELECT MAX({_ALIVE}) AS alive, SUM({_DONE}) AS done FROM children AS own "
    "WHERE own.parent_id = :parent_id AND own.oca_group <> '' GROUP BY own.oca_group"
    ") AS grouped))"
)
# The last line is the independent gate: no child is stored that its parent has no room for.
INSERT_CHILD = text(
    "INSERT INTO children (order_ref, parent_id, slice_no, attempt, account, client_id, order_id, "  # noqa: S608
    "symbol, side, quantity, limit_price, tif, kind, stop_price, oca_group, state, committed_at, "
    "checks) "
    "SELECT :order_ref, parents.parent_id, :slice_no, :attempt, :account, :client_id, :order_id, "
    ":symbol, :side, :quantity, :limit_price, :tif, :kind, :stop_price, :oca_group, 'INTENT', "
    ":committed_at, :checks FROM parents "
    "WHERE parents.parent_id = :parent_id AND symbol = :symbol AND side = :side "
    "AND state IN ('NEW', 'WORKING') AND parents.quantity >= "
    # A sibling of the same one-cancels-all group has taken this child's room already.
    "CASE WHEN EXISTS (SELECT 1 FROM children AS sibling WHERE sibling.oca_group = :oca_group "
    "AND :oca_group <> '' AND sibling.parent_id = :parent_id AND sibling.quantity >= :quantity "
    "AND sibling.state NOT IN ('FILLED', 'CANCELLED', 'REJECTED', 'NEVER_SENT')) "
    "THEN 0 ELSE :quantity END + " + _EXPOSURE
)
PARENT = text("SELECT parent_id FROM parents WHERE parent_id = :parent_id")
ROOM = text(
    f"SELECT parents.*, {_EXPOSURE} AS exposure "  # noqa: S608
    "FROM parents WHERE parent_id = :parent_id"
)
