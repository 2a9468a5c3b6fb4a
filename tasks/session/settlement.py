"""Settle a child that no evidence ends: show all that is known, then take a person's word."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.domain.sessions import exchange_date
from models.execution.commands import FinishParent
from models.execution.engine import restore, step
from models.execution.events import Reconciled, SessionClosed
from models.execution.settling import ChildEvidence, objection
from tasks.books.adoption import adopt
from tasks.session.recovery import slicing_policy
from warehouse.ledger.settlements import Settlement

if TYPE_CHECKING:
    from datetime import date, datetime

    from models.domain.orders import ChildState
    from models.execution.settling import Claim
    from tasks.broker.protocol import Evidence
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.events import EventRecord

EVENTS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Dossier:
    """What is known of one child: the ledger's row, the broker's account now, the journal's end.

    Shares everywhere; `ours` and `theirs` are the signed positions of ledger and broker.
    """

    evidence: ChildEvidence
    account: str
    session: date
    ours: int
    theirs: int
    at_broker: str
    events: tuple[EventRecord, ...]

    @property
    def lines(self) -> list[str]:
        """The dossier for people, one fact a line."""
        child = self.evidence.child
        limit = "no limit" if child.limit_price is None else f"limit {child.limit_price} USD"
        return [
            f"child     {child.order_ref} of the session {self.session}",
            f"order     {child.side} {child.quantity} {child.symbol}, {limit}, {child.tif}, order "
            f"id {child.order_id}, permId {child.perm_id or 'never told'}",
            f"ledger    {child.state}; {self.evidence.executed} shares by executions, "
            f"{self.evidence.unproven} may have been filled beyond them",
            f"broker    {self.at_broker}",
            f"position  {child.symbol}: ledger {self.ours} shares, broker {self.theirs} shares",
            *(
                f"journal   {event.at:%Y-%m-%d %H:%M:%S} UTC {event.kind} {dict(event.payload)}"
                for event in self.events
            ),
        ]


def open_dossier(ledger: OrderLedger, evidence: Evidence, order_ref: str) -> Dossier:
    """Adopt what the broker shows, and gather what speaks for or against any end of a child.

    Raises InvalidInput for a child that the ledger has not, or that is of another account.
    """
    evidence = adopt(ledger, evidence)
    record = ledger.children.require(order_ref)
    if record.account != evidence.account:
        raise InvalidInput(
            f"{order_ref} was sent to another account than the gateway shows; connect that one"
        )
    child = record.order
    order = next((each for each in evidence.orders if each.order_ref == order_ref), None)
    fills = ledger.executions.fills_of(child.parent_id)
    executed = sum(fill.quantity for fill in fills if fill.order_ref == order_ref)
    ours = ledger.executions.positions(evidence.account).get(child.symbol, 0)
    theirs = evidence.positions.get(child.symbol, 0)
    shown = "no open or completed order of that name"
    if order is not None:
        shown = f"{order.status}, {order.filled} shares filled, {order.remaining} remaining"
    return Dossier(
        ChildEvidence(
            child,
            executed,
            working=order is not None and not order.is_over,
            gap=child.side.sign * (theirs - ours),
        ),
        record.account,
        ledger.parents.get(child.parent_id).order.session,
        ours,
        theirs,
        shown,
        ledger.events.of_order(order_ref)[-EVENTS_SHOWN:],
    )


def settle_child(
    ledger: OrderLedger,
    settings: Settings,
    dossier: Dossier,
    claim: Claim,
    *,
    reason: str,
    by: str,
    at: datetime,
) -> ChildState:
    """Keep a person's word about a child, for ever, and let child and parent follow it.

    Raises InvalidInput when the evidence contradicts the claim, or the reason is missing.
    """
    ref = dossier.evidence.child.order_ref
    if not reason.strip():
        raise InvalidInput("settling a child needs a reason: add --reason TEXT")
    against = objection(claim, dossier.evidence)
    if against:
        raise InvalidInput(f"{ref} cannot be settled as {claim.verdict}: {against}")
    seen = {
        "broker": dossier.at_broker,
        "ledger_state": dossier.evidence.child.state.value,
        "executed_shares": dossier.evidence.executed,
        "ledger_position": dossier.ours,
        "broker_position": dossier.theirs,
    }
    settlement = Settlement(ref, claim.verdict, claim.quantity, claim.price, seen, reason, by, at)
    with ledger.transaction():
        state = ledger.settlements.settle(settlement)
        ledger.events.append("settled", ref, asdict(settlement), at)
        _end_parent(ledger, settings, dossier.evidence.child.parent_id, at)
    return state


def _end_parent(ledger: OrderLedger, settings: Settings, parent_id: str, now: datetime) -> None:
    """End a parent of an earlier day whose last open child this was; today's is its session's."""
    record = ledger.parents.get(parent_id)
    if record.state.is_terminal or record.order.session >= exchange_date(now):
        return
    execution = restore(
        record.order,
        slicing_policy(ledger, settings, record.order),
        ledger.children.of_parent(parent_id),
        ledger.executions.revisions_of(parent_id),
        record.state,
    )
    for event in (Reconciled(now), SessionClosed(now)):
        execution, commands = step(execution, event)
        for command in commands:
            if isinstance(command, FinishParent):
                ledger.parents.set_state(parent_id, command.state, command.reason)
