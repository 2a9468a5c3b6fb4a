"""A look beside a session at work: what is under way is no difference, and nothing is recorded."""

import sqlite3
from contextlib import closing
from dataclasses import replace

from models.domain.orders import Fill, Side
from tasks.books.reconciliation_look import MOST_LOOKS, look_beside


def rows(ledger):
    """Count what a reconciliation would have written."""
    names = ("broker_events", "executions", "differences", "external_orders", "accounts")
    with closing(sqlite3.connect(ledger.place)) as outside:
        return [outside.execute(f"SELECT count(*) FROM {name}").fetchone() for name in names]


async def test_what_is_under_way_is_no_difference(desk, broker):
    agreed = await broker.collect_evidence()
    ahead = replace(agreed, positions={"KO": 30})
    reads = iter([ahead, agreed])
    seen = look_beside(desk.ledger, lambda: next(reads), apart=0)
    assert (seen.agrees, seen.looks) == (True, 2)
    assert "agree beside the session at work" in seen.summary


async def test_what_every_look_shows_is_told_and_not_recorded(desk, broker, parent):
    fill = Fill("x.01", "", "XOM", Side.BUY, 7, parent.decision_price, broker.now, 5)
    agreed = await broker.collect_evidence()
    shares = iter(range(1, MOST_LOOKS + 1))
    before = rows(desk.ledger)

    def read():
        return replace(agreed, fills=(fill,), positions={"XOM": 7, "KO": next(shares)})

    seen = look_beside(desk.ledger, read, apart=0)
    assert (seen.agrees, seen.looks) == (False, MOST_LOOKS)
    texts = [one.text for one in seen.found]
    assert "position mismatch XOM: ledger 0 shares, broker 7 shares" in texts
    assert f"position mismatch KO: ledger 0 shares, broker {MOST_LOOKS} shares" in texts
    assert rows(desk.ledger) == before
