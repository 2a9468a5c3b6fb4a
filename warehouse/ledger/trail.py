"""Look-ups for the audit trail: from any id a person holds to the order or execution it names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from sqlalchemy import TextClause, text

from models.domain.errors import InvalidInput
from models.domain.orders import ChildState, Side
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import json_of, list_of, moment_of, optional_money
from warehouse.ledger.statements import LedgerRow

_CHILD = text("SELECT * FROM children WHERE order_ref = :id")
_CHILDREN = text("SELECT * FROM children WHERE parent_id = :id ORDER BY slice_no, attempt")
_PARENT = text("SELECT parent_id FROM parents WHERE parent_id = :id")
_EXECUTION = text("SELECT exec_base FROM executions WHERE exec_id = :id OR exec_base = :id LIMIT 1")
_NUMBERED = text(
    "SELECT order_ref, account, client_id FROM children WHERE order_id = :number "
    "OR perm_id = :number ORDER BY order_ref"
)
_PERM = text("SELECT exec_base FROM executions WHERE perm_id = :number ORDER BY exec_base LIMIT 1")
_REVISIONS = (
    "SELECT executions.*, commissions.amount, commissions.currency FROM executions "
    "LEFT JOIN commissions ON commissions.exec_id = executions.exec_id WHERE "
)
_BY_TIME = " ORDER BY executions.at, executions.exec_base, executions.revision"
_OF_ORDER = text(_REVISIONS + "executions.order_ref = :id" + _BY_TIME)
_OF_BASE = text(_REVISIONS + "executions.exec_base = :id" + _BY_TIME)
_IDS = text(
    "SELECT parent_id AS id FROM parents UNION SELECT order_ref FROM children "
    "UNION SELECT exec_id FROM executions"
)
_MANIFEST = text(
    "SELECT * FROM model_manifests WHERE model = :model "
    "AND (version = :version OR version LIKE :with_id) ORDER BY seq DESC LIMIT 1"
)
_FILES = text(
    "SELECT name, sha256 FROM model_files WHERE model = :model AND version = :version ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class TrailEnd:
    """What an id names: a parent, a child, or an execution (`exec_base`), with what is above it."""

    kind: str
    parent_id: str
    order_ref: str
    exec_base: str


@dataclass(frozen=True, slots=True)
class ChildTrail:
    """A child as the ledger keeps it: shares, limit in USD (None: none), moments in UTC.

    `checks` are what let it pass, as they were kept with its intent.
    """

    order_ref: str
    state: ChildState
    reason: str
    quantity: int
    executed: int
    limit_price: Decimal | None
    tif: str
    account: str
    client_id: int
    order_id: int
    perm_id: int | None
    committed_at: datetime
    sent_at: datetime | None
    checks: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ExecutionTrail:
    """One revision of an execution; `commission` as reported for it, in `currency`, or None."""

    exec_id: str
    revision: int
    superseded: bool
    in_opening: bool
    account: str
    order_ref: str
    symbol: str
    side: Side
    quantity: int
    price: Decimal
    at: datetime
    perm_id: int
    commission: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class ModelTrail:
    """The promoted model behind a decision: its run, its files' SHA-256 and its metrics."""

    model: str
    version: str
    run_id: str
    files: dict[str, str]
    metrics: dict[str, Any]
    recorded_at: datetime


class Trail:
    """The audit trail of this ledger; reads only."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def find(self, asked: str) -> TrailEnd:
        """Return what `asked` names: execution, order reference, parent, order id or permanent id.

        Raises InvalidInput for an unknown id, with near ones, or one that several orders have.
        """
        asked = asked.strip()
        with self._store.read() as connection:
            key = {"id": asked}
            if (base := connection.execute(_EXECUTION, key).scalar_one_or_none()) is not None:
                return self._execution_end(base)
            if connection.execute(_CHILD, key).one_or_none() is not None:
                return _child_end(asked)
            if connection.execute(_PARENT, key).one_or_none() is not None:
                return TrailEnd("parent", asked, "", "")
            if asked.isdigit() and len(asked) < 19:
                number = {"number": int(asked)}
                found = connection.execute(_NUMBERED, number).all()
                if len(found) == 1:
                    return _child_end(found[0].order_ref)
                if found:
                    listed = ", ".join(f"{r.order_ref} (client id {r.client_id})" for r in found)
                    raise InvalidInput(
                        f"{asked} is the number of {len(found)} orders: give one of {listed}"
                    )
                if (base := connection.execute(_PERM, number).scalar_one_or_none()) is not None:
                    return self._execution_end(base)
            known = [str(found) for found in connection.execute(_IDS).scalars()]
        raise InvalidInput(_unknown(asked, known))

    def children(self, parent_id: str) -> tuple[ChildTrail, ...]:
        """Return every child of a parent by slice and attempt."""
        with self._store.read() as connection:
            rows = connection.execute(_CHILDREN, {"id": parent_id}).all()
        return tuple(_child(row) for row in rows)

    def executions_of_order(self, order_ref: str) -> tuple[ExecutionTrail, ...]:
        """Return every revision of every execution of a child, by time."""
        return self._executions(_OF_ORDER, order_ref)

    def revisions(self, exec_base: str) -> tuple[ExecutionTrail, ...]:
        """Return every revision of one execution."""
        return self._executions(_OF_BASE, exec_base)

    def model(self, label: str) -> ModelTrail | None:
        """Return the promoted model that a label `name/version` names, or None."""
        name, _, version = label.rpartition("/")
        key = {"model": name, "version": version, "with_id": f"{version}:%"}
        with self._store.read() as connection:
            row = connection.execute(_MANIFEST, key).one_or_none()
            if row is None:
                return None
            files = connection.execute(_FILES, {"model": row.model, "version": row.version}).all()
        hashes = {file.name: file.sha256 for file in files}
        at = moment_of(row.recorded_at)
        return ModelTrail(row.model, row.version, row.run_id, hashes, json_of(row.metrics), at)

    def _executions(self, statement: TextClause, key: str) -> tuple[ExecutionTrail, ...]:
        with self._store.read() as connection:
            return tuple(_execution(row) for row in connection.execute(statement, {"id": key}))

    def _execution_end(self, base: str) -> TrailEnd:
        newest = self.revisions(base)[-1]
        with self._store.read() as connection:
            ours = connection.execute(_CHILD, {"id": newest.order_ref}).one_or_none()
        if ours is None:
            return TrailEnd("execution", "", "", base)
        return TrailEnd("execution", ours.parent_id, newest.order_ref, base)


def _child_end(order_ref: str) -> TrailEnd:
    return TrailEnd("child", order_ref.rsplit(".", 2)[0], order_ref, "")


def _unknown(asked: str, known: list[str]) -> str:
    near = get_close_matches(asked, known, n=5, cutoff=0.6)
    near = near or [name for name in known if asked and asked.lower() in name.lower()][:5]
    if near:
        return f"the ledger knows no {asked!r}; near it are {', '.join(near)}"
    return (
        f"the ledger knows no {asked!r} among {len(known):,} ids; give an execution id, an order "
        "reference parent.slice.attempt, a parent id, or the broker's order number "
        "(robo status names the last session; the ledger is that of ROBO_MODE and ROBO_LEDGER_URL)"
    )


def _child(row: LedgerRow) -> ChildTrail:
    return ChildTrail(
        order_ref=row.order_ref,
        state=ChildState(row.state),
        reason=row.reason,
        quantity=row.quantity,
        executed=row.executed,
        limit_price=optional_money(row.limit_price),
        tif=row.tif,
        account=row.account,
        client_id=row.client_id,
        order_id=row.order_id,
        perm_id=row.perm_id,
        committed_at=moment_of(row.committed_at),
        sent_at=None if row.sent_at is None else moment_of(row.sent_at),
        checks=() if row.checks is None else tuple(list_of(row.checks)),
    )


def _execution(row: LedgerRow) -> ExecutionTrail:
    return ExecutionTrail(
        exec_id=row.exec_id,
        revision=row.revision,
        superseded=bool(row.superseded),
        in_opening=bool(row.in_opening),
        account=row.account,
        order_ref=row.order_ref,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=Decimal(row.price),
        at=moment_of(row.at),
        perm_id=row.perm_id,
        commission=optional_money(row.amount),
        currency=row.currency,
    )
