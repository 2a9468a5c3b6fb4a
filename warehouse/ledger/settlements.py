"""What persons decided about children that no evidence could settle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from models.domain.orders import ChildState, Fill
from models.execution.fills import SETTLED
from models.execution.settling import Verdict
from warehouse.ledger.chain import seal
from warehouse.ledger.children import Children
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import (
    json_of,
    json_text,
    moment_of,
    moment_text,
    optional_money,
    optional_money_text,
)
from warehouse.ledger.executions import Executions

_INSERT = text(
    "INSERT INTO settlements (id, order_ref, verdict, quantity, price, evidence, reason, "
    "settled_by, at) VALUES (:id, :order_ref, :verdict, :quantity, :price, :evidence, :reason, "
    ":settled_by, :at)"
)
_NEXT = text("SELECT COALESCE(MAX(id), 0) + 1 FROM settlements")
_OF_ORDER = text("SELECT * FROM settlements WHERE order_ref = :order_ref ORDER BY id")


@dataclass(frozen=True, slots=True)
class Settlement:
    """One decision: `quantity` shares at `price` USD for FILLED, else 0; by whom, why, when."""

    order_ref: str
    verdict: Verdict
    quantity: int
    price: Decimal | None
    evidence: Mapping[str, Any]
    reason: str
    by: str
    at: datetime


class Settlements:
    """The settlements of this ledger; rows are only ever added."""

    def __init__(self, store: LedgerStore, children: Children, executions: Executions) -> None:
        self._store = store
        self._children = children
        self._executions = executions

    def settle(self, settlement: Settlement) -> ChildState:
        """Keep a decision and let the child follow it, in one transaction; return its new state.

        Shares filled become an execution of their own name, which the broker's own executions of
        the child replace should they ever come.
        """
        ref = settlement.order_ref
        row = {
            "order_ref": ref,
            "verdict": settlement.verdict.value,
            "quantity": settlement.quantity,
            "price": optional_money_text(settlement.price),
            "evidence": json_text(settlement.evidence),
            "reason": settlement.reason,
            "settled_by": settlement.by,
            "at": moment_text(settlement.at),
        }
        with self._store.write() as connection:
            stored = row | {"id": int(connection.execute(_NEXT).scalar_one())}
            connection.execute(_INSERT, stored)
            seal(connection, "settlements", [stored])
            record = self._children.require(ref)
            reason = f"settled by {settlement.by}: {settlement.reason}"
            if settlement.verdict is Verdict.NEVER_SENT:
                told = ChildState.NEVER_SENT
            else:
                told = ChildState.CANCELLED
            if settlement.price is not None:
                child = record.order
                fill = Fill(
                    exec_id=f"{SETTLED}{ref}.01",
                    order_ref=ref,
                    symbol=child.symbol,
                    side=child.side,
                    quantity=settlement.quantity,
                    price=settlement.price,
                    at=settlement.at,
                    perm_id=child.perm_id or 0,
                )
                self._executions.record(fill, record.account)
            return self._children.record_status(ref, told, reason=reason).state

    def of_order(self, order_ref: str) -> tuple[Settlement, ...]:
        """Return the decisions about a child, oldest first."""
        with self._store.read() as connection:
            rows = connection.execute(_OF_ORDER, {"order_ref": order_ref}).all()
        return tuple(
            Settlement(
                row.order_ref,
                Verdict(row.verdict),
                int(row.quantity),
                optional_money(row.price),
                json_of(row.evidence),
                row.reason,
                row.settled_by,
                moment_of(row.at),
            )
            for row in rows
        )
