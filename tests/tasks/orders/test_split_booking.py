"""A split overnight: the share count that it explains is booked, anything else stays open."""

from dataclasses import replace
from datetime import timedelta

import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.sessions import exchange_date
from tasks.reconciliation import look_before_planning, reconcile
from tasks.split_booking import book_splits


@pytest.fixture
async def held(ledger, broker):
    """An account that is known to hold 30 KO and 7 XOM, seen again the morning after."""
    broker.positions = {"KO": 30, "XOM": 7}
    reconcile(ledger, await broker.collect_evidence())
    broker.now += timedelta(days=1)
    return await broker.collect_evidence()


def split(evidence, symbol, value, days=0):
    ex_date = exchange_date(evidence.at) - timedelta(days=days)
    return CorporateAction(symbol, ex_date, ActionKind.SPLIT, value)


def test_a_split_overnight_is_no_mismatch(held, ledger):
    after = replace(held, positions={"KO": 120, "XOM": 3})
    actions = [split(held, "KO", 4.0), split(held, "XOM", 0.5)]
    [one, two] = book_splits(ledger, after, actions)
    assert one.startswith("split of KO, 4 for 1") and one.endswith("30 to 120")
    assert two.endswith("7 to 3"), "half a share was paid out"
    assert look_before_planning(ledger, after) == ()
    assert ledger.differences.blocked(after.account) == {}
    assert book_splits(ledger, after, actions) == (), "once"
    accepted = ledger.adjustments.of_positions(after.account)
    assert {each.acceptance.by for each in accepted} == {"corporate action"}


def test_what_a_split_does_not_explain_stays_open(held, ledger):
    for positions, action in [
        ({"KO": 119, "XOM": 7}, split(held, "KO", 4.0)),
        ({"KO": 120, "XOM": 7}, split(held, "KO", 4.0, days=11)),
        ({"KO": 120, "XOM": 7}, split(held, "KO", 4.0, days=-1)),
        ({"KO": 30, "XOM": 28}, split(held, "KO", 4.0)),
        ({"KO": 120, "XOM": 7}, CorporateAction("KO", held.at.date(), ActionKind.DIVIDEND, 4.0)),
    ]:
        after = replace(held, positions=positions)
        assert book_splits(ledger, after, [action]) == ()
        assert len(look_before_planning(ledger, after)) >= 1
    assert ledger.adjustments.of_positions(held.account) == ()
