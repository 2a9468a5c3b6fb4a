"""The chain behind an order or a fill: model, signal, target, parent, checks, children, cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.errors import RoboError
from models.domain.sessions import previous_session
from tasks.books.check_record import KIND, CheckStep, kept_checks
from tasks.books.execution_report import ParentReport, parent_report

if TYPE_CHECKING:
    from datetime import date

    from models.domain.orders import ParentOrder
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.events import EventRecord
    from warehouse.ledger.trail import ChildTrail, ExecutionTrail, ModelTrail
    from warehouse.market.targets import Target

BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class SignalStep:
    """A model's score of the symbol at the closes of `session`, and its rank among all (1 best)."""

    session: date
    score: float
    rank: int
    scored: int


@dataclass(frozen=True, slots=True)
class FillStep:
    """One revision of an execution; its cost against the arrival mid, a cost positive.

    None is not known: no arrival price was noted, or (superseded, external) it has no parent.
    """

    execution: ExecutionTrail
    cost_usd: Decimal | None
    cost_bps: Decimal | None


@dataclass(frozen=True, slots=True)
class ChildStep:
    """A child: its intent and state, the checks before it, the broker's messages, its fills."""

    order: ChildTrail
    checks: tuple[CheckStep, ...]
    messages: tuple[EventRecord, ...]
    fills: tuple[FillStep, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that is known behind `asked`; what is not known is None, with a note why.

    `kind` is parent, child or execution; an execution of no order of this system is `external`.
    """

    asked: str
    kind: str
    external: bool
    model: ModelTrail | None
    signal: SignalStep | None
    target: Target | None
    parent: ParentReport | None
    checks: tuple[CheckStep, ...]
    children: tuple[ChildStep, ...]
    fills: tuple[FillStep, ...]
    notes: tuple[str, ...]


def explain(settings: Settings, ledger: OrderLedger, asked: str) -> Explanation:
    """Return the chain behind an execution id, order reference, parent id or order number.

    Of a child or an execution only its own child is told. Raises InvalidInput for an unknown id.
    """
    end = ledger.trail.find(asked)
    if not end.parent_id:
        return _external(ledger, asked, end.exec_base)
    report = parent_report(ledger, ledger.parents.get(end.parent_id))
    order = report.order
    children = [
        _child_step(ledger, report, child, end.exec_base)
        for child in ledger.trail.children(end.parent_id)
        if end.order_ref in ("", child.order_ref)
    ]
    notes: list[str] = []
    model = ledger.trail.model(order.model_version)
    if model is None:
        notes.append(f"the ledger has no manifest of model {order.model_version}")
    signal, target = _research(settings, order, notes)
    if report.arrival_price is None:
        notes.append("no arrival price was noted: it is, once the first slice is due")
    checks = tuple(
        CheckStep(record.at, record.check, record.passed, record.reason, record.numbers)
        for record in ledger.parents.verdicts(end.parent_id)
    )
    return Explanation(
        asked=asked,
        kind=end.kind,
        external=False,
        model=model,
        signal=signal,
        target=target,
        parent=report,
        checks=checks,
        children=tuple(children),
        fills=(),
        notes=tuple(notes),
    )


def _external(ledger: OrderLedger, asked: str, exec_base: str) -> Explanation:
    revisions = ledger.trail.revisions(exec_base)
    newest = revisions[-1]
    note = (
        f"EXTERNAL: no order of this system; it was placed outside, under the reference "
        f"{newest.order_ref!r}" + (", before the opening balance" if newest.in_opening else "")
    )
    return Explanation(
        asked=asked,
        kind="execution",
        external=True,
        model=None,
        signal=None,
        target=None,
        parent=None,
        checks=(),
        children=(),
        fills=tuple(FillStep(revision, None, None) for revision in revisions),
        notes=(note,),
    )


def _child_step(
    ledger: OrderLedger, report: ParentReport, child: ChildTrail, exec_base: str
) -> ChildStep:
    events = ledger.events.of_order(child.order_ref)
    fills = [
        _fill_step(report, execution)
        for execution in ledger.trail.executions_of_order(child.order_ref)
        if not exec_base or execution.exec_id.rpartition(".")[0] == exec_base
    ]
    messages = tuple(event for event in events if event.kind != KIND)
    return ChildStep(child, kept_checks(child, events), messages, tuple(fills))


def _fill_step(report: ParentReport, execution: ExecutionTrail) -> FillStep:
    arrival = report.arrival_price
    if arrival is None or execution.superseded or not execution.quantity:
        return FillStep(execution, None, None)
    a_share = execution.side.sign * (execution.price - arrival)
    return FillStep(execution, a_share * execution.quantity, a_share / arrival * BPS)


def _research(
    settings: Settings, order: ParentOrder, notes: list[str]
) -> tuple[SignalStep | None, Target | None]:
    """Return signal and target as the warehouse has them; what it lacks becomes a note."""
    if not settings.has_warehouse:
        notes.append(f"signal and target are not known: there is no {settings.warehouse_place}")
        return None, None
    from tasks.stores import open_warehouse

    try:
        warehouse = open_warehouse(settings)
        as_of = previous_session(order.session).date
        scores = warehouse.signals.scores(as_of, order.model_version)
        targets = warehouse.targets.of_session(order.session, order.strategy)
    except RoboError as error:
        notes.append(f"signal and target are not known: {error}")
        return None, None
    signal = None
    if order.symbol in scores:
        score = scores[order.symbol]
        rank = 1 + sum(other > score for other in scores.values())
        signal = SignalStep(as_of, score, rank, len(scores))
    else:
        notes.append(f"no signal of {order.model_version} for {order.symbol} at {as_of} is kept")
    target = next((t for t in targets if t.symbol == order.symbol), None)
    if target is None:
        notes.append(f"no target of {order.strategy} for {order.symbol} on {order.session} is kept")
    elif target.at != order.decided_at:
        notes.append("the target kept is of a later plan of the same session")
    return signal, target
