"""Parent orders: the plan of a session, its state, and the risk verdicts behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import Connection, Row, text

from models.domain.errors import InvalidInput, SkipToday
from models.domain.orders import ParentOrder, ParentState, Side
from warehouse.ledger.chain import seal
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import (
    json_of,
    json_text,
    moment_of,
    moment_text,
    money_text,
    optional_money,
    optional_money_text,
)

_INSERT = text(
    "INSERT INTO parents (parent_id, session, strategy, plan_no, symbol, side, quantity, algo, "
    "start_at, end_at, decision_price, decided_at, model_version, limit_price, state, reason) "
    "VALUES (:parent_id, :session, :strategy, :plan_no, :symbol, :side, :quantity, :algo, "
    ":start_at, :end_at, :decision_price, :decided_at, :model_version, :limit_price, :state, "
    ":reason)"
)
_GET = text("SELECT * FROM parents WHERE parent_id = :parent_id")
_OF_SESSION = text("SELECT * FROM parents WHERE session = :session ORDER BY strategy, parent_id")
_OF_PLAN = text(
    "SELECT * FROM parents WHERE session = :session AND strategy = :strategy ORDER BY parent_id"
)
_STARTED = text(
    "SELECT parent_id FROM parents WHERE session = :session AND strategy = :strategy "
    "AND (state NOT IN ('NEW', 'REJECTED') OR EXISTS "
    "(SELECT 1 FROM order_ids WHERE order_ids.parent_id = parents.parent_id)) ORDER BY parent_id"
)
_DECIDED_SINCE = text(
    "SELECT * FROM parents WHERE decided_at >= :moment AND state <> 'REJECTED' ORDER BY parent_id"
)
_DELETE_PLAN = text("DELETE FROM parents WHERE session = :session AND strategy = :strategy")
_PLAN_NO = text("SELECT COALESCE(MAX(plan_no), 0) AS newest FROM risk_checks")
_PLAN_NO_PARENTS = text("SELECT COALESCE(MAX(plan_no), 0) AS newest FROM parents")
_LATEST = text("SELECT MAX(session) FROM parents")
_SET_STATE = text(
    "UPDATE parents SET state = :state, reason = :reason WHERE parent_id = :parent_id"
)
_NEXT_CHECK = text("SELECT COALESCE(MAX(id), 0) + 1 AS free FROM risk_checks")
_INSERT_CHECK = text(
    "INSERT INTO risk_checks (id, parent_id, plan_no, at, check_name, passed, reason, numbers) "
    "VALUES (:id, :parent_id, :plan_no, :at, :check_name, :passed, :reason, :numbers)"
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
class ParentRecord:
    """A parent order with its present state and the reason of that state."""

    order: ParentOrder
    state: ParentState
    reason: str


@dataclass(frozen=True, slots=True)
class RiskCheckRecord:
    """One kept verdict on a parent order; `at` is UTC."""

    parent_id: str
    at: datetime
    check: str
    passed: bool
    reason: str
    numbers: Mapping[str, Any]


class Parents:
    """The parent orders of every session."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def add(self, parents: Sequence[ParentOrder]) -> int:
        """Add new parents in one transaction and return how many were new.

        Raises InvalidInput when a parent id is already there with other content.
        """
        added = 0
        with self._store.write() as connection:
            plan_no = _next_plan(connection)
            for parent in parents:
                row = connection.execute(_GET, {"parent_id": parent.parent_id}).one_or_none()
                if row is None:
                    _insert(connection, parent, plan_no, ParentState.NEW, "")
                    added += 1
                elif _record(row).order != parent:
                    raise InvalidInput(
                        f"parent order {parent.parent_id} is already in the ledger with other "
                        "content; replace the plan of its session, or give it a new id"
                    )
        return added

    def replace_plan(
        self,
        session: date,
        strategy: str,
        parents: Sequence[ParentOrder],
        verdicts: Mapping[str, Sequence[RiskVerdict]],
    ) -> tuple[ParentRecord, ...]:
        """Put `parents` in the place of a plan that has not started, in one transaction.

        `verdicts` maps parent id to its checks; a failed one makes the parent REJECTED. Verdicts
        of earlier plans are kept. Raises SkipToday when a parent of the stored plan has started.
        """
        key = {"session": session.isoformat(), "strategy": strategy}
        _require_plan(session, strategy, parents)
        with self._store.write() as connection:
            self.require_not_started(session, strategy)
            connection.execute(_DELETE_PLAN, key)
            plan_no = _next_plan(connection)
            for parent in parents:
                checks = verdicts.get(parent.parent_id, ())
                reason = "; ".join(check.reason for check in checks if not check.passed)
                denied = any(not check.passed for check in checks)
                state = ParentState.REJECTED if denied else ParentState.NEW
                _insert(connection, parent, plan_no, state, reason)
                _insert_checks(connection, parent.parent_id, plan_no, checks, parent.decided_at)
            return tuple(_record(row) for row in connection.execute(_OF_PLAN, key))

    def require_not_started(self, session: date, strategy: str) -> None:
        """Raise SkipToday when a parent of the stored plan has started: it may not be replaced."""
        key = {"session": session.isoformat(), "strategy": strategy}
        with self._store.read() as connection:
            started = connection.execute(_STARTED, key).first()
        if started is not None:
            raise SkipToday(
                f"the plan of {strategy} for {session} has started ({started.parent_id}); "
                "it stays as it is: run robo execute to finish it"
            )

    def decided_since(self, moment: datetime) -> tuple[ParentOrder, ...]:
        """Return the parents decided at or after `moment` (UTC) that no check denied."""
        with self._store.read() as connection:
            rows = connection.execute(_DECIDED_SINCE, {"moment": moment_text(moment)}).all()
        return tuple(_record(row).order for row in rows)

    def record_verdicts(
        self, parent_id: str, verdicts: Sequence[RiskVerdict], at: datetime
    ) -> None:
        """Keep further verdicts on a stored parent, such as those before each send."""
        with self._store.write() as connection:
            row = _require(connection, parent_id)
            _insert_checks(connection, parent_id, row.plan_no, verdicts, at)

    def verdicts(self, parent_id: str) -> tuple[RiskCheckRecord, ...]:
        """Return the verdicts on the parent of the present plan, oldest first."""
        with self._store.read() as connection:
            rows = connection.execute(_CHECKS, {"parent_id": parent_id}).all()
        return tuple(
            RiskCheckRecord(
                row.parent_id,
                moment_of(row.at),
                row.check_name,
                bool(row.passed),
                row.reason,
                json_of(row.numbers),
            )
            for row in rows
        )

    def get(self, parent_id: str) -> ParentRecord:
        """Return one parent; raises InvalidInput when there is none of that id."""
        with self._store.read() as connection:
            return _record(_require(connection, parent_id))

    def of_session(self, session: date, strategy: str | None = None) -> tuple[ParentRecord, ...]:
        """Return the parents of a session, of one strategy or of all, ordered by id."""
        key = {"session": session.isoformat()}
        with self._store.read() as connection:
            if strategy is None:
                rows = connection.execute(_OF_SESSION, key).all()
            else:
                rows = connection.execute(_OF_PLAN, key | {"strategy": strategy}).all()
        return tuple(_record(row) for row in rows)

    def latest_session(self) -> date | None:
        """Return the last session that has parents, or None."""
        with self._store.read() as connection:
            found = connection.execute(_LATEST).scalar_one()
        return None if found is None else date.fromisoformat(found)

    def set_state(self, parent_id: str, state: ParentState, reason: str = "") -> bool:
        """Move a parent to `state`; return whether it did.

        A terminal parent stays as it is, except that it becomes FILLED by a late fill.
        """
        with self._store.write() as connection:
            present = _record(_require(connection, parent_id))
            leaves_end = present.state.is_terminal and state is not ParentState.FILLED
            if leaves_end or (present.state, present.reason) == (state, reason):
                return False
            connection.execute(
                _SET_STATE, {"parent_id": parent_id, "state": state.value, "reason": reason}
            )
        return True


def _require_plan(session: date, strategy: str, parents: Sequence[ParentOrder]) -> None:
    ids = [parent.parent_id for parent in parents]
    if len(set(ids)) != len(ids):
        raise InvalidInput(f"the plan of {strategy} for {session} names a parent id twice")
    for parent in parents:
        if (parent.session, parent.strategy) != (session, strategy):
            raise InvalidInput(
                f"parent order {parent.parent_id} is of {parent.strategy} for {parent.session}; "
                f"this plan is of {strategy} for {session}"
            )


def _next_plan(connection: Connection) -> int:
    checked = int(connection.execute(_PLAN_NO).scalar_one())
    return 1 + max(checked, int(connection.execute(_PLAN_NO_PARENTS).scalar_one()))


def _require(connection: Connection, parent_id: str) -> Row[Any]:
    row = connection.execute(_GET, {"parent_id": parent_id}).one_or_none()
    if row is None:
        raise InvalidInput(
            f"there is no parent order {parent_id} in the ledger; run robo rebalance first"
        )
    return row


def _insert(
    connection: Connection, parent: ParentOrder, plan_no: int, state: ParentState, reason: str
) -> None:
    row = {
        "parent_id": parent.parent_id,
        "session": parent.session.isoformat(),
        "strategy": parent.strategy,
        "plan_no": plan_no,
        "symbol": parent.symbol,
        "side": parent.side.value,
        "quantity": parent.quantity,
        "algo": parent.algo,
        "start_at": moment_text(parent.start),
        "end_at": moment_text(parent.end),
        "decision_price": money_text(parent.decision_price),
        "decided_at": moment_text(parent.decided_at),
        "model_version": parent.model_version,
        "limit_price": optional_money_text(parent.limit_price),
        "state": state.value,
        "reason": reason,
    }
    connection.execute(_INSERT, row)


def _insert_checks(
    connection: Connection,
    parent_id: str,
    plan_no: int,
    verdicts: Sequence[RiskVerdict],
    at: datetime,
) -> None:
    free = int(connection.execute(_NEXT_CHECK).scalar_one())
    rows = [
        {
            "id": free + offset,
            "parent_id": parent_id,
            "plan_no": plan_no,
            "at": moment_text(at),
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


def _record(row: Row[Any]) -> ParentRecord:
    order = ParentOrder(
        parent_id=row.parent_id,
        session=date.fromisoformat(row.session),
        strategy=row.strategy,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        algo=row.algo,
        start=moment_of(row.start_at),
        end=moment_of(row.end_at),
        decision_price=Decimal(row.decision_price),
        decided_at=moment_of(row.decided_at),
        model_version=row.model_version,
        limit_price=optional_money(row.limit_price),
    )
    return ParentRecord(order, ParentState(row.state), row.reason)
