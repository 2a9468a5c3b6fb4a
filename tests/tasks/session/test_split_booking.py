"""A split overnight: the share count that it explains is booked, anything else stays open."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.orders import Fill, Side
from models.domain.sessions import exchange_date
from tasks.books.reconciliation import look_before_planning, reconcile
from tasks.books.split_booking import book_splits


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


@pytest.fixture
def bought(ledger, broker):
    """Trade KO by hand, so many days after the account was first seen, at USD a share."""

    def trade(name, shares, price, days):
        side = Side.BUY if shares > 0 else Side.SELL
        at = broker.now + timedelta(days=days - 1, minutes=1)
        fill = Fill(name, "", "KO", side, abs(shares), Decimal(price), at, 1, Decimal(0))
        ledger.executions.record(fill, broker.account)

    return trade


def test_the_cost_of_what_was_held_goes_through_a_split(held, ledger, bought):
    """30 that were there, 10 bought before it, and of 3 for 2 60; 10 bought and 25 sold after."""
    account, cost, mark = held.account, {"KO": Decimal(30)}, {"KO": Decimal(40)}
    bought("a.01", 10, "60", 0.5)
    bought("b.01", 10, "20", 1)
    after = replace(held, positions={"KO": 70, "XOM": 7})
    assert book_splits(ledger, after, [split(held, "KO", 1.5)]), "60 and 10: no usual ratio"
    [ko, _] = ledger.pnl(account, mark, cost).symbols
    assert (ko.shares, ko.fifo.realised, ko.average.realised) == (70, 0, 0)
    spent = 30 * 30 + 10 * 60 + 10 * 20
    for method in (ko.fifo, ko.average):
        assert method.unrealised == 70 * 40 - spent
    bought("c.01", -50, "40", 1.1)
    [ko, _] = ledger.pnl(account, mark, cost).symbols
    assert ko.fifo.realised == 45 * (40 - 20) + 5 * (40 - 40), "the first 30 have become 45"
    assert abs(ko.average.realised - 50 * (40 - Decimal(spent) / 70)) < Decimal("1e-7")
    assert ledger.audit(account).contradictions == ()


def test_a_fraction_that_was_paid_out_leaves_the_cost_known(held, ledger):
    after = replace(held, positions={"KO": 30, "XOM": 3}, cash=held.cash + 5)
    assert book_splits(ledger, after, [split(held, "XOM", 0.5)])
    row = ledger.pnl(held.account, {"XOM": Decimal(100)}, {"XOM": Decimal(45)}).symbols[1]
    assert (row.shares, row.fifo.unrealised) == (3, 3 * 100 - 7 * 45)
    assert ledger.audit(held.account).contradictions == ()


def test_a_split_of_before_the_first_look_is_no_explanation(ledger, broker, held):
    late = replace(held, positions={"KO": 60, "XOM": 7})
    assert book_splits(ledger, late, [split(held, "KO", 2.0, days=2)]) == ()


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
