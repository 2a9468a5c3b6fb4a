"""Parent orders: the plan of a session, its state, and the risk verdicts behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text

from models.domain.errors import InvalidInput, SkipToday
from models.domain.orders import ParentOrder, ParentState, Side
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import (
    moment_of,
    moment_text,
    money_text,
    optional_money,
    optional_money_text,
)
from warehouse.ledger.risk_checks import (
    Judged,
    RiskCheckRecord,
    RiskVerdict,
    checks_of,
    insert_checks,
)
from warehouse.ledger.statements import LedgerConnection, LedgerRow

_INSERT = text(
    "INSERT INTO parents (parent_id, session, strategy, plan_no, symbol, side, quantity, algo, "
    "start_at, end_at, decision_price, decided_at, model_version, limit_price, state, reason, "
    "limits_version) "
    "VALUES (:parent_id, :session, :strategy, :plan_no, :symbol, :side, :quantity, :algo, "
    ":start_at, :end_at, :decision_price, :decided_at, :model_version, :limit_price, :state, "
    ":reason, :limits_version)"
)
_GET = text("SELECT * FROM parents WHERE parent_id = :parent_id")
# Exits have no schedule: they rest from one session into the next, and are asked for by name.
_OF_SESSION = text(
    "SELECT * FROM parents WHERE session = :session AND strategy <> 'exits' "
    "ORDER BY strategy, parent_id"
)
_OPEN_EXITS = text(
    "SELECT * FROM parents WHERE strategy = 'exits' AND state NOT IN "
    "('FILLED', 'CANCELLED', 'EXPIRED', 'FAILED', 'REJECTED') ORDER BY parent_id"
)
_OF_PLAN = text(
    "SELECT * FROM parents WHERE session = :session AND strategy = :strategy ORDER BY parent_id"
)
_STARTED = text(
    "SELECT parent_id FROM parents WHERE session = :session AND strategy = :strategy "
    "AND (state NOT IN ('NEW', 'REJECTED') OR EXISTS "
    "(SELECT 1 FROM order_ids WHERE order_ids.parent_id = parents.parent_id)) ORDER BY parent_id"
)
_DECIDED_SINCE = text(
    "SELECT * FROM parents WHERE decided_at >= :moment AND state <> 'REJECTED' "
    "AND strategy <> 'exits' ORDER BY parent_id"
)
_DELETE_PLAN = text("DELETE FROM parents WHERE session = :session AND strategy = :strategy")
_PLAN_NO = text("SELECT COALESCE(MAX(plan_no), 0) AS newest FROM risk_checks")
_PLAN_NO_PARENTS = text("SELECT COALESCE(MAX(plan_no), 0) AS newest FROM parents")
_LATEST = text("SELECT MAX(session) FROM parents WHERE strategy <> 'exits'")
_SET_STATE = text(
    "UPDATE parents SET state = :state, reason = :reason WHERE parent_id = :parent_id"
)


@dataclass(frozen=True, slots=True)
class ParentRecord:
    """A parent order with its present state and the reason of that state.

    `limits_version` is the version of the risk limits that it was judged by; None before there
    were versions.
    """

    order: ParentOrder
    state: ParentState
    reason: str
    limits_version: int | None = None


class Parents:
    """The parent orders of every session."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def add(self, parents: Sequence[ParentOrder], limits_version: int | None = None) -> int:
        """Add new parents in one transaction and return how many were new.

        Raises InvalidInput when a parent id is already there with other content.
        """
        added = 0
        with self._store.write() as connection:
            plan_no = _next_plan(connection)
            for parent in parents:
                row = connection.execute(_GET, {"parent_id": parent.parent_id}).one_or_none()
                if row is None:
                    _insert(connection, parent, plan_no, (ParentState.NEW, "", limits_version))
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
        limits_version: int | None = None,
    ) -> tuple[ParentRecord, ...]:
        """Put `parents` in the place of a plan that has not started, in one transaction.

        `verdicts` maps parent id to its checks by that version of the limits; a failed one makes
        the parent REJECTED. Verdicts of earlier plans are kept. Raises SkipToday when a parent of
        the stored plan has started.
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
                _insert(connection, parent, plan_no, (state, reason, limits_version))
                judged = Judged(parent.parent_id, plan_no, parent.decided_at, limits_version)
                insert_checks(connection, judged, checks)
            return tuple(_record(row) for row in connection.execute(_OF_PLAN, key))

    def require_not_started(self, session: date, strategy: str) -> None:
        """Raise SkipToday when a parent of the stored plan has started: it may not be replaced."""
        key = {"session": session.isoformat(), "strategy": strategy}
        with self._store.read() as connection:
            started = connection.execute(_STARTED, key).first()
            records = [_record(row) for row in connection.execute(_OF_PLAN, key)]
        if started is None:
            return
        if all(record.state.is_terminal for record in records):
            raise SkipToday(
                f"the plan of {strategy} for {session} is done: its {len(records)} parent orders "
                "have ended. The next session is planned after the close: wait for it, or with the "
                "simulated gateway run robo gateway advance --to next-close"
            )
        raise SkipToday(
            f"the plan of {strategy} for {session} has started ({started.parent_id}); "
            "it stays as it is: run robo execute to finish it"
        )

    def decided_since(self, moment: datetime) -> tuple[ParentOrder, ...]:
        """Return the parents decided at or after `moment` (UTC) that no check denied."""
        with self._store.read() as connection:
            rows = connection.execute(_DECIDED_SINCE, {"moment": moment_text(moment)}).all()
        return tuple(_record(row).order for row in rows)

    def open_exits(self) -> tuple[ParentRecord, ...]:
        """Return every exit order that has not ended, of whatever session."""
        with self._store.read() as connection:
            return tuple(_record(row) for row in connection.execute(_OPEN_EXITS))

    def record_verdicts(
        self,
        parent_id: str,
        verdicts: Sequence[RiskVerdict],
        at: datetime,
        limits_version: int | None = None,
        order_ref: str = "",
    ) -> None:
        """Keep further verdicts on a stored parent, such as those before each send."""
        with self._store.write() as connection:
            row = _require(connection, parent_id)
            judged = Judged(parent_id, row.plan_no, at, limits_version, order_ref)
            insert_checks(connection, judged, verdicts)

    def verdicts(self, parent_id: str) -> tuple[RiskCheckRecord, ...]:
        """Return the verdicts on the parent of the present plan, oldest first."""
        with self._store.read() as connection:
            return checks_of(connection, parent_id)

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


def _next_plan(connection: LedgerConnection) -> int:
    checked = int(connection.execute(_PLAN_NO).scalar_one())
    return 1 + max(checked, int(connection.execute(_PLAN_NO_PARENTS).scalar_one()))


def _require(connection: LedgerConnection, parent_id: str) -> LedgerRow:
    row = connection.execute(_GET, {"parent_id": parent_id}).one_or_none()
    if row is None:
        raise InvalidInput(
            f"there is no parent order {parent_id} in the ledger; run robo rebalance first"
        )
    return row


def _insert(
    connection: LedgerConnection,
    parent: ParentOrder,
    plan_no: int,
    became: tuple[ParentState, str, int | None],
) -> None:
    state, reason, limits_version = became
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
        "limits_version": limits_version,
    }
    connection.execute(_INSERT, row)


def _record(row: LedgerRow) -> ParentRecord:
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
    return ParentRecord(order, ParentState(row.state), row.reason, row.limits_version)
