"""The judgement of one universe: what the broker did against what the parents asked for."""

from collections import defaultdict
from dataclasses import dataclass, field

from models.domain.orders import ParentState
from tasks.account_snapshot import read_account
from tasks.broker.protocol import Evidence
from tasks.reconciliation import reconcile
from tasks.settings import Settings
from tasks.stores import open_ledger
from warehouse.ledger import OrderLedger


@dataclass
class Verdict:
    """Shares lost and doubled, parents quarantined, and whatever else must not be."""

    lost: int = 0
    doubled: int = 0
    quarantined: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.quarantined or self.broken)


def judge(settings: Settings) -> Verdict:
    """Compare the gateway's own books with the ledger and with what was asked for."""
    evidence = read_account(settings)
    verdict = Verdict()
    with open_ledger(settings) as ledger:
        _judge_parents(ledger, evidence, verdict)
        _judge_orders(ledger, evidence, verdict)
        verdict.broken += ledger.check()
        found = reconcile(ledger, evidence)
        if not found.agrees:
            verdict.broken.append(found.summary)
    return verdict


def _judge_parents(ledger: OrderLedger, evidence: Evidence, verdict: Verdict) -> None:
    bought: dict[str, int] = defaultdict(int)
    for fill in evidence.fills:
        bought[fill.order_ref.rsplit(".", 2)[0]] += fill.quantity
    day = ledger.parents.latest_session()
    assert day is not None
    for record in ledger.parents.of_session(day):
        order = record.order
        held = evidence.positions.get(order.symbol, 0)
        if held != bought[order.parent_id]:
            told = f"{held} shares held, executions of {bought[order.parent_id]}"
            verdict.broken.append(f"{order.parent_id}: {told}")
        verdict.lost += max(0, order.quantity - held)
        verdict.doubled += max(0, held - order.quantity)
        verdict.quarantined += record.state in (ParentState.PAUSED, ParentState.FAILED)
        if record.state is not ParentState.FILLED:
            verdict.broken.append(f"{order.parent_id} ended {record.state}: {record.reason}")


def _judge_orders(ledger: OrderLedger, evidence: Evidence, verdict: Verdict) -> None:
    orders: dict[str, set[int]] = defaultdict(set)
    for order in evidence.orders:
        orders[order.order_ref].add(order.perm_id)
    for fill in evidence.fills:
        orders[fill.order_ref].add(fill.perm_id)
    for ref, perm_ids in orders.items():
        if len(perm_ids) > 1:
            verdict.broken.append(f"{ref} is {len(perm_ids)} orders at the broker")
        if ledger.children.get(ref) is None:
            verdict.broken.append(f"{ref} has no row in the ledger")
    if evidence.open_orders:
        verdict.broken.append(f"{len(evidence.open_orders)} orders still work")
