"""Processes that die at chosen points of the order path, on a real gateway, and their rerun."""

import asyncio
import json
import os
import random
from pathlib import Path

import pytest

from models.domain.orders import ParentState, Side
from tasks.books.reconciliation import reconcile

pytestmark = pytest.mark.journey

SCRIPT = Path(__file__).with_name("crashing_session.py")
DIED = 86
SEED = 20221229
QUANTITY = 47

POINTS = [
    ("children", "commit_intent", "before"),
    ("children", "commit_intent", "after"),
    ("children", "mark_sent", "after"),
    ("connection", "send", "after"),
    ("executions", "record", "before"),
    ("executions", "record_commission", "after"),
    ("children", "record_status", "before"),
    ("accounts", "record_snapshot", "before"),
]


def crash(fork, settings, owner, name, when, occurrence):
    fields = ("home", "port", "control_port", "slices", "min_child_usd", "quiet_period")
    plan = {
        "settings": {
            k: v for k, v in json.loads(settings.model_dump_json()).items() if k in fields
        },
        "owner": owner,
        "name": name,
        "when": when,
        "occurrence": occurrence,
    }
    process = fork([str(SCRIPT), json.dumps(plan)], dict(os.environ), settings.home)
    return process.wait(60), process.stdout.read()


@pytest.mark.parametrize(("owner", "name", "when"), POINTS)
def test_a_process_that_dies_doubles_no_share_and_loses_none(
    gateway, settings, ledger, make_span, make_parent, execute, household, owner, name, when
):
    span = make_span(gateway, 6)
    parents = [make_parent(span, symbol, Side.BUY, QUANTITY) for symbol in ("KO", "PFE")]
    ledger.parents.add(parents)
    draw = random.Random(f"{SEED} {owner} {name} {when}")
    occurrence = 1 if owner == "accounts" else draw.randint(1, 5)
    code, text = crash(household.fork, settings, owner, name, when, occurrence)
    assert code == DIED, text
    execute(settings, ledger)
    evidence = asyncio.run(read(gateway))
    for parent in parents:
        mine = [f for f in evidence.fills if f.order_ref.startswith(f"{parent.parent_id}.")]
        assert sum(f.quantity for f in mine) == QUANTITY, f"{owner}.{name} {when} #{occurrence}"
        assert ledger.parents.get(parent.parent_id).state is ParentState.FILLED
        known = {child.order_ref for child in ledger.children.of_parent(parent.parent_id)}
        assert {f.order_ref for f in mine} <= known, "no order without its intent"
    found = reconcile(ledger, evidence)
    assert found.agrees, found.summary
    assert found.unknown_commissions == 0


async def read(gateway):
    async with gateway.orders(30) as link:
        return await link.collect_evidence()
