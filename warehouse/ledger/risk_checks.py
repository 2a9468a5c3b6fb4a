"""The verdicts of every check on an order, kept for whoever asks why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import text

from warehouse.ledger.chain import seal
from warehouse.ledger.encoding import json_of, json_text, moment_of, moment_text
from warehouse.ledger.statements import LedgerConnection

_NEXT_CHECK = text("SELECT COALESCE(MAX(id), 0) + 1 AS free FROM risk_checks")
_INSERT_CHECK = text(
    "INSERT INTO risk_checks (id, parent_id, plan_no, at, check_name, passed, reason, numbers, "
    "limits_version, order_ref) VALUES (:id, :parent_id, :plan_no, :at, :check_name, :passed, "
    ":reason, :numbers, :limits_version, :order_ref)"
)
_CHECKS = text(
    "SELECT risk_checks.* FROM risk_checks JOIN parents "
    "ON parents.parent_id = risk_checks.parent_id AND parents.plan_no = risk_checks.plan_no "
    "WHERE risk_checks.parent_id = :parent_id ORDER BY risk_checks.id"
)


class RiskVerdict(Protocol):
    """The shape of a pre-trade check's verdict, as models/risk makes it."""

    @property
    def check(self) -> str:
        """The name of the check."""
        ...

    @property
    def passed(self) -> bool:
        """Whether the order may go on."""
        ...

    @property
    def reason(self) -> str:
        """Why, in words."""
        ...

    @property
    def numbers(self) -> Mapping[str, Any]:
        """The figures that were compared."""
        ...


@dataclass(frozen=True, slots=True)
class RiskCheckRecord:
    """One kept verdict on a parent order; `at` is UTC.

    `order_ref` names the child that a verdict before a send was about, and is empty otherwise.
    """

    parent_id: str
    at: datetime
    check: str
    passed: bool
    reason: str
    numbers: Mapping[str, Any]
    limits_version: int | None = None
    order_ref: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a set of verdicts is about; `at` is UTC."""

    parent_id: str
    plan_no: int
    at: datetime
    limits_version: int | None
    order_ref: str = ""


def checks_of(connection: LedgerConnection, parent_id: str) -> tuple[RiskCheckRecord, ...]:
    """Return the verdicts on a parent of the present plan, oldest first."""
    rows = connection.execute(_CHECKS, {"parent_id": parent_id}).all()
    return tuple(
        RiskCheckRecord(
            row.parent_id,
            moment_of(row.at),
            row.check_name,
            bool(row.passed),
            row.reason,
            json_of(row.numbers),
            row.limits_version,
            row.order_ref,
        )
        for row in rows
    )


def insert_checks(
    connection: LedgerConnection, judged: Judged, verdicts: Sequence[RiskVerdict]
) -> None:
    """Store verdicts inside a write transaction."""
    free = int(connection.execute(_NEXT_CHECK).scalar_one())
    rows = [
        {
            "id": free + offset,
            "parent_id": judged.parent_id,
            "plan_no": judged.plan_no,
            "at": moment_text(judged.at),
            "limits_version": judged.limits_version,
            "order_ref": judged.order_ref,
            "check_name": verdict.check,
            "passed": int(verdict.passed),
            "reason": verdict.reason,
            "numbers": json_text(verdict.numbers),
        }
        for offset, verdict in enumerate(verdicts)
    ]
    if rows:
        connection.execute(_INSERT_CHECK, rows)
        seal(connection, "risk_checks", rows)
