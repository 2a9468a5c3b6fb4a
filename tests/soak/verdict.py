"""The judgement of one universe: what the broker did against what the parents asked for."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from models.domain.orders import ParentState
from tasks.books.account_snapshot import read_account
from tasks.books.ledger_check import check_ledger
from tasks.books.reconciliation import reconcile
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import ApiAddress, Evidence
from tasks.session.exits import STRATEGY as EXITS
from tasks.settings import Settings
from tasks.stores import open_ledger
from warehouse.ledger import OrderLedger
from warehouse.ledger.parents import ParentRecord

HOST = "127.0.0.1"
ONLOOKER = 77  # an API client id of nobody else's
EXIT_NAME = "-exit-"
SELLING = ("-SELL-", "-flatten-")


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


@dataclass(frozen=True)
class Expected:
    """What was there before, `held` shares by hand, and what a person and the exits have done.

    A flatten that was begun ends parents; only one that came to its end has left none of ours.
    """

    held: dict[str, int] = field(default_factory=dict)
    begun: bool = False
    flattened: bool = False
    exits: str = "off"


def look_between(port: int) -> list[str]:
    """Return what must not be at the broker while no process of ours is at work.

    Every sell that works, a one-cancels-all group counted once, must find its shares.
    """
    return oversold(asyncio.run(_read(port)))


async def _read(port: int) -> Evidence:
    """Read as an onlooker without the ledger: to open it would mend what a crash has left."""
    link = await OrderConnection.open(ApiAddress(HOST, port, ONLOOKER), 5.0)
    try:
        return await link.collect_evidence()
    finally:
        await link.close()


def oversold(evidence: Evidence) -> list[str]:
    """Return the symbols of which more could be sold than is held."""
    found = []
    for symbol, sells in working_sells(evidence).items():
        held = evidence.positions.get(symbol, 0)
        if sells > held:
            orders = ", ".join(
                f"{o.order_ref} {o.status} {o.remaining}"
                for o in evidence.open_orders
                if o.symbol == symbol
            )
            found.append(f"{sells} {symbol} may be sold with {held} held: {orders}")
    return found


def working_sells(evidence: Evidence) -> dict[str, int]:
    """Return, by symbol, the shares that working sells may still sell."""
    alone: dict[str, int] = defaultdict(int)
    groups: dict[tuple[str, str], int] = defaultdict(int)
    for order in evidence.open_orders:
        parent_id = order.order_ref.rsplit(".", 2)[0]
        if EXIT_NAME in parent_id:
            key = (order.symbol, parent_id)
            groups[key] = max(groups[key], order.remaining)
        elif any(name in parent_id for name in SELLING):
            alone[order.symbol] += order.remaining
    for (symbol, _), shares in groups.items():
        alone[symbol] += shares
    return dict(alone)


def judge(settings: Settings, expected: Expected) -> Verdict:
    """Compare the gateway's own books with the ledger and with what was asked for."""
    evidence = read_account(settings)
    verdict = Verdict()
    with open_ledger(settings) as ledger:
        _judge_parents(ledger, evidence, verdict, expected)
        _judge_orders(ledger, evidence, verdict, expected)
        verdict.broken += oversold(evidence)
        verdict.broken += check_ledger(settings, ledger, {}, {}).audit.contradictions
        found = reconcile(ledger, evidence)
        if not found.agrees:
            verdict.broken.append(found.summary)
    return verdict


def _judge_parents(
    ledger: OrderLedger, evidence: Evidence, verdict: Verdict, expected: Expected
) -> None:
    done: dict[str, int] = defaultdict(int)
    for fill in evidence.fills:
        done[fill.order_ref.rsplit(".", 2)[0]] += fill.quantity
    day = ledger.parents.latest_session()
    assert day is not None
    records = (*ledger.parents.of_session(day), *ledger.parents.of_session(day, EXITS))
    moved: dict[str, int] = defaultdict(int)
    exited = {
        r.order.symbol for r in records if r.order.strategy == EXITS and done[r.order.parent_id]
    }
    for record in records:
        order, filled = record.order, done[record.order.parent_id]
        moved[order.symbol] += order.side.sign * filled
        verdict.doubled += max(0, filled - order.quantity)
        verdict.quarantined += record.state in (ParentState.PAUSED, ParentState.FAILED)
        if order.strategy == "soak" and not _may_end_short(record, exited, expected):
            verdict.lost += max(0, order.quantity - filled)
            if record.state is not ParentState.FILLED:
                text = f"{order.parent_id} ended {record.state}: {record.reason}"
                verdict.broken.append(text)
    for symbol in moved.keys() | evidence.positions.keys():
        held, ours = evidence.positions.get(symbol, 0), moved[symbol]
        if held != expected.held.get(symbol, 0) + ours:
            verdict.broken.append(f"{symbol}: {held} shares held, executions of {ours}")
        verdict.doubled += max(0, -held)  # nothing here sells short
        if expected.flattened and ours > 0:
            verdict.broken.append(f"{symbol}: {ours} shares of ours left by a flatten")


def _may_end_short(record: ParentRecord, exited: set[str], expected: Expected) -> bool:
    """Say whether a parent that is not filled ended as it should."""
    if record.state is ParentState.CANCELLED and "flattened by" in record.reason:
        return expected.begun
    if record.state not in (ParentState.CANCELLED, ParentState.EXPIRED):
        return False
    # What its exit has sold is bought no more, and cannot be sold again.
    return record.order.symbol in exited


def _judge_orders(
    ledger: OrderLedger, evidence: Evidence, verdict: Verdict, expected: Expected
) -> None:
    orders: dict[str, set[int]] = defaultdict(set)
    for order in evidence.orders:
        orders[order.order_ref].add(order.perm_id)
    for fill in evidence.fills:
        orders[fill.order_ref].add(fill.perm_id)
    orders.pop("", None)  # by hand
    for ref, perm_ids in orders.items():
        if len(perm_ids) > 1:
            verdict.broken.append(f"{ref} is {len(perm_ids)} orders at the broker")
        if ledger.children.get(ref) is None:
            verdict.broken.append(f"{ref} has no row in the ledger")
    strays = [o.order_ref for o in evidence.open_orders if EXIT_NAME not in o.order_ref]
    if strays:
        verdict.broken.append(f"{len(strays)} orders still work: {', '.join(strays)}")
    if expected.exits != "resting":
        resting = [o.order_ref for o in evidence.open_orders if EXIT_NAME in o.order_ref]
        verdict.broken += [f"exits still rest: {', '.join(resting)}"] if resting else []
        return
    covered = working_sells(evidence)
    for symbol, held in evidence.positions.items():
        if covered.get(symbol, 0) != held:
            verdict.broken.append(f"{covered.get(symbol, 0)} of {held} {symbol} are protected")
