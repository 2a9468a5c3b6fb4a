"""Fault 13: of 120,000 bad quotes none prices an order; a real move is taken up once it lasts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.orders import ChildOrder, Quote, Side
from models.domain.sessions import TradingSession
from models.execution.pricing import marketable_limit
from models.risk import send_checks
from models.risk.context import SendContext
from models.risk.gate import check_child
from models.risk.limits import RiskLimits
from models.risk.quotes import PriceReference, after_quote, check_jump

OPEN = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
NOW = datetime(2023, 1, 3, 16, tzinfo=UTC)
SESSION = TradingSession(OPEN.date(), OPEN, datetime(2023, 1, 3, 21, tzinfo=UTC))
LIMITS = RiskLimits()
LAST_GOOD = PriceReference(Decimal("50.00"), NOW - timedelta(seconds=60))
GOOD = Quote("KO", Decimal("49.99"), Decimal("50.01"), 500, 500, NOW)
CHILD = ChildOrder("p", 1, 1, "KO", Side.BUY, 100, Decimal("50.01"), "IOC")
DESK = SendContext(None, SESSION, 100, {}, 1e5, 1e5, 1e5, reference=LAST_GOOD)
NO_PRICES = [Decimal(text) for text in ("NaN", "sNaN", "Infinity", "-Infinity", "-1", "0", "-0")]
KINDS = ("no price", "crossed", "locked", "day old", "future", "10 sigma", "units", "other symbol")


def bad_quote(kind: str, draw: Random) -> Quote:
    """A quote of one kind of badness; everything else about it is as good as can be."""
    mid = Decimal(draw.randrange(4900, 5100)) / 100
    half = Decimal(draw.randrange(1, 5)) / 100
    fine = replace(GOOD, bid=mid - half, ask=mid + half)
    if kind == "no price":
        side = draw.choice(("bid", "ask"))
        return replace(fine, **{side: draw.choice(NO_PRICES)})
    if kind == "crossed":
        return replace(fine, bid=fine.ask + Decimal(draw.randrange(1, 500)) / 100)
    if kind == "locked":
        return replace(fine, bid=mid, ask=mid)
    if kind == "day old":
        return replace(fine, at=NOW - timedelta(seconds=draw.uniform(5.1, 5 * 86_400)))
    if kind == "future":
        return replace(fine, at=NOW + timedelta(seconds=draw.uniform(5.1, 86_400)))
    if kind == "10 sigma":  # of the minute since the last good quote, and beyond
        sigma = LIMITS.quote_volatility * sqrt(60 / 23_400)
        move = draw.choice((-1, 1)) * draw.uniform(10.1, 40) * sigma
        level = (Decimal("50.00") * Decimal(repr(1 + move))).quantize(Decimal("0.01"))
        return replace(GOOD, bid=level - half, ask=level + half)
    if kind == "units":  # pennies for dollars, or a slipped decimal point
        factor = draw.choice((Decimal("0.01"), Decimal("0.1"), Decimal(10), Decimal(100)))
        return replace(fine, bid=fine.bid * factor, ask=fine.ask * factor)
    return replace(fine, symbol="PEP")


def prices_an_order(quote: Quote) -> bool:
    """Say whether the pricing and the checks on quotes would all let it through."""
    if not send_checks.check_quote(CHILD, quote, LIMITS, NOW).passed:
        return False
    if not check_jump(LAST_GOOD, quote, LIMITS).passed:
        return False
    return any(marketable_limit(side, quote, Decimal(5), None) is not None for side in Side)


@pytest.mark.parametrize("kind", KINDS)
def test_no_bad_quote_prices_an_order(kind: str) -> None:
    assert prices_an_order(GOOD)
    draw = Random(f"faults {kind}")
    let_through = [q for q in (bad_quote(kind, draw) for _ in range(15_000)) if prices_an_order(q)]
    assert let_through == []


def test_the_whole_gate_denies_a_sample_of_each_kind() -> None:
    assert all(v.passed for v in check_child(CHILD, GOOD, DESK, LIMITS, NOW))
    for kind in KINDS:
        draw = Random(f"gate {kind}")
        for _ in range(200):
            verdicts = check_child(CHILD, bad_quote(kind, draw), DESK, LIMITS, NOW)
            assert not all(v.passed for v in verdicts), kind


def test_a_single_tick_never_moves_the_reference_and_a_lasting_level_does() -> None:
    up = replace(GOOD, bid=Decimal("57.99"), ask=Decimal("58.01"))
    doubted = after_quote(LAST_GOOD, up, LIMITS)
    assert (doubted.price, doubted.doubted) == (LAST_GOOD.price, Decimal(58))
    again = replace(up, at=NOW + timedelta(seconds=29.9))
    assert not check_jump(doubted, again, LIMITS).passed
    lasting = replace(up, at=NOW + timedelta(seconds=30))
    assert check_jump(doubted, lasting, LIMITS).passed
    assert after_quote(doubted, lasting, LIMITS) == PriceReference(Decimal(58), lasting.at)
    back = replace(GOOD, at=NOW + timedelta(seconds=1))
    assert after_quote(doubted, back, LIMITS) == PriceReference(Decimal(50), back.at)


def test_a_frozen_quote_never_confirms_itself() -> None:
    stuck = replace(GOOD, bid=Decimal("57.99"), ask=Decimal("58.01"))
    reference = LAST_GOOD
    for _ in range(1000):
        reference = after_quote(reference, stuck, LIMITS)
    assert reference.price == LAST_GOOD.price
    assert not check_jump(reference, stuck, LIMITS).passed


@given(st.integers(1, 30), st.sampled_from([-1, 1]))
def test_the_days_first_quote_may_gap_so_far_and_no_tick_further(percent: int, sign: int) -> None:
    limits = RiskLimits(max_price_gap=percent / 100)
    close = PriceReference(Decimal(100), OPEN, is_decision=True)
    edge = Decimal(100) + sign * Decimal(percent)
    cent = Decimal("0.01")
    at_edge = Quote("KO", edge - cent, edge + cent, 1, 1, OPEN)
    beyond = Quote("KO", edge - cent + sign * cent, edge + cent + sign * cent, 1, 1, OPEN)
    assert check_jump(close, at_edge, limits).passed
    assert not check_jump(close, beyond, limits).passed
    assert not check_jump(None, at_edge, limits).passed
