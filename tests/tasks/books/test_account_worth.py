"""Losses are losses: money that was paid in or out is neither a gain nor one, accepted or not."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from models.domain.errors import AutomaticHalt
from models.domain.halts import HaltCode
from models.domain.orders import Fill, Quote, Side
from models.domain.sessions import session_on
from models.execution.differences import CashKind
from models.risk.limits import RiskLimits
from tasks.books.account_worth import comparable_worths
from tasks.books.corrections import accept_differences
from tasks.books.reconciliation import reconcile
from tasks.broker.protocol import Evidence
from tasks.session.account import AccountBook
from tasks.session.guard import SessionGuard
from tasks.session.session_day import open_book
from warehouse.ledger import OrderLedger

ACCOUNT = "SIM0000042"
DAY = session_on(date(2023, 1, 6))
SHARES = 1000  # of KO, at 50 USD when the account was opened, beside 50,000 USD of cash
YESTERDAY = DAY.open - timedelta(days=1)


@pytest.fixture
def ledger(tmp_path):
    with OrderLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        opened.accounts.record_opening(ACCOUNT, Decimal(50_000), {"KO": SHARES}, YESTERDAY)
        worth = Decimal(100_000)
        opened.accounts.record_snapshot(ACCOUNT, YESTERDAY, Decimal(50_000), worth, "before that")
        yield opened


def evidence(minutes, cash, price=50):
    worth = Decimal(cash + SHARES * price)
    at = DAY.open + timedelta(minutes=minutes)
    return Evidence(ACCOUNT, at, Decimal(cash), worth, {"KO": SHARES}, (), (), ())


def opened(ledger, seen):
    book = AccountBook(ACCOUNT, ledger)
    book.refresh()
    reconcile(ledger, seen)
    book.compare_cash(seen.cash)
    open_book(ledger, DAY, book, seen)
    return book


def equity(book, price):
    mid = Decimal(str(price))
    quote = Quote("KO", mid - Decimal("0.01"), mid + Decimal("0.01"), 1, 1, DAY.open)
    return book.equity(lambda _symbol: quote)


def halt_of(book, price):
    guard = SessionGuard(RiskLimits())
    try:
        for minute in (1, 2):
            guard.require_sound(
                DAY.open + timedelta(minutes=minute), DAY, book, equity(book, price)
            )
    except AutomaticHalt as halt:
        return halt.code
    return None


def accept(ledger, seen, kind):
    found = reconcile(ledger, seen).found
    ids = [one.id for one in found if one.difference.unit == "USD"]
    accept_differences(ledger, seen, ids, reason="statement", by="a person", cash_kind=kind)


def test_a_withdrawal_overnight_hides_no_loss(ledger):
    book = opened(ledger, evidence(-10, 30_000))
    assert halt_of(book, 50) is None
    assert halt_of(book, 47.5) is HaltCode.DAILY_LOSS  # 2,500 of 80,000 USD


def test_a_deposit_overnight_is_no_loss_and_no_gain(ledger):
    book = opened(ledger, evidence(-10, 60_000))
    assert halt_of(book, 50) is None
    assert halt_of(book, 46.5) is HaltCode.DAILY_LOSS  # 3,500 of 110,000 USD


@pytest.mark.parametrize("hundreds", [100, -200])
def test_once_accepted_the_highest_worth_moves_with_it(ledger, hundreds):
    cash = 50_000 + 100 * hundreds
    seen = evidence(-10, cash)
    opened(ledger, seen)
    accept(ledger, evidence(-5, cash), None)
    book = opened(ledger, evidence(0, cash))
    assert book.peak_equity == book.day_start_equity == cash + 50_000
    assert equity(book, 50) == cash + 50_000
    assert halt_of(book, 50) is None


def test_trades_between_do_not_make_a_withdrawal_a_later_one(ledger):
    opened(ledger, evidence(-10, 30_000))
    at = DAY.open + timedelta(minutes=1)
    bought = Fill("x.01", "", "KO", Side.BUY, 10, Decimal(50), at, 7, Decimal(0))
    ledger.executions.record(bought, ACCOUNT)
    after = replace(evidence(5, 29_500), positions={"KO": SHARES + 10})
    accept(ledger, after, CashKind.WITHDRAWAL)
    book = opened(ledger, replace(after, at=DAY.open + timedelta(minutes=6)))
    assert book.day_start_equity == 80_000  # it was out of the day's first worth already


def test_money_that_comes_in_the_day_hides_no_loss(ledger):
    book = opened(ledger, evidence(-10, 50_000))
    later = evidence(60, 60_000, 46.5)
    reconcile(ledger, later)
    book.compare_cash(later.cash)
    assert halt_of(book, 46.5) is HaltCode.DAILY_LOSS
    again = opened(ledger, evidence(61, 60_000, 46.5))  # nor after a restart
    assert halt_of(again, 46.5) is HaltCode.DAILY_LOSS


def test_money_that_goes_in_the_day_is_a_loss_until_it_is_accepted(ledger):
    book = opened(ledger, evidence(-10, 50_000))
    later = evidence(60, 40_000)
    reconcile(ledger, later)
    book.compare_cash(later.cash)
    assert halt_of(book, 50) is HaltCode.DAILY_LOSS
    accept(ledger, evidence(61, 40_000), CashKind.WITHDRAWAL)
    assert halt_of(opened(ledger, evidence(62, 40_000)), 50) is None


def test_what_is_accepted_while_a_session_runs_is_counted_once(ledger):
    book = opened(ledger, evidence(-10, 60_000))
    accept(ledger, evidence(1, 60_000), CashKind.DEPOSIT)
    book.refresh()
    assert equity(book, 50) == 110_000


def test_dividends_are_gains(ledger):
    seen = evidence(-10, 51_000)
    opened(ledger, seen)
    accept(ledger, seen, CashKind.DIVIDEND)
    assert [worth.usd for worth in comparable_worths(ledger, ACCOUNT)] == [100_000, 101_000]


def test_one_tick_upwards_is_no_highest_worth(ledger):
    book = opened(ledger, evidence(-10, 50_000))
    for price in (50, 500, 50, 51, 52, float("nan"), 400):
        book.note_worth(equity(book, price) if price == price else price)
    assert book.peak_equity == 101_000  # 102,000 was seen at one look only
