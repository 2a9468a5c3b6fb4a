"""What a running session knows of the account's worth, and what it tells of what it doesn't."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.orders import Fill, Quote, Side
from models.risk.limits import RiskLimits
from tasks.session.guard import SessionGuard, breach
from tasks.session.recovery import recover


async def test_a_deposit_is_known_though_a_commission_never_comes(start_desk, broker):
    """A restart within the day: else its loss limits would miss the deposit until tomorrow."""
    start_desk()
    broker.now += timedelta(minutes=1)
    broker.fills.append(Fill("e1.01", "", "KO", Side.BUY, 90, Decimal(50), broker.now, 1))
    broker.book("KO", 90, Decimal(50))
    broker.cash += 10_000 - 1  # and the commission, of which no report comes
    desk = start_desk()
    await recover(desk, 0)
    assert desk.book.outside_cash == 9_999
    broker.cash -= 5
    await recover(desk, 0)
    assert desk.book.outside_cash == 9_999, "later looks wait until every commission is known"


@pytest.mark.parametrize(
    ("bid", "ask"),
    [("NaN", "NaN"), ("0", "50"), ("50", "-1"), ("50.01", "50"), ("50", "50"), ("50", "Infinity")],
)
async def test_an_order_without_a_usable_quote_is_told_once(start_desk, parent, minute, bid, ask):
    """Nothing is sent, and the parent would else expire without a word of why."""
    desk = start_desk(parent)
    told, guard = [], SessionGuard(desk.limits)
    desk.alert = lambda subject, text: told.append((subject, text))
    good = desk.quote
    desk.quote = lambda symbol: replace(good(symbol), bid=Decimal(bid), ask=Decimal(ask))
    for moment in (0.2, 1.1, 1.3, 3):
        assert breach(guard, desk, minute(moment)) is None
    ((subject, text),) = told
    assert subject == "KO has no usable quote"
    assert f"bid {bid} and ask {ask} USD" in text
    desk.quote = good
    assert breach(guard, desk, minute(4)) is None
    desk.quote = lambda symbol: None
    for moment in (5, 6.5):
        breach(guard, desk, minute(moment))
    assert [subject for subject, _ in told] == ["KO has no usable quote"] * 2, "told anew"


@pytest.mark.parametrize(("age", "is_told"), [(0, False), (299, False), (301, True)])
async def test_a_held_symbol_whose_quotes_have_stopped_is_told(
    start_desk, broker, minute, age, is_told
):
    broker.book("KO", 90, Decimal(50))
    desk, told, guard = start_desk(), [], SessionGuard(RiskLimits())
    desk.alert = lambda *words: told.append(words)

    def quote(symbol):
        at = broker.now - timedelta(seconds=age)
        return Quote(symbol, Decimal("49.99"), Decimal("50.01"), 1, 1, at)

    desk.quote = quote
    for moment in (10, 10.5, 11):
        assert breach(guard, desk, minute(moment)) is None
    assert bool(told) is is_told
    if told:
        [(subject, text)] = told
        assert subject == "the account's worth is unknown"
        assert "no usable quote of KO" in text
