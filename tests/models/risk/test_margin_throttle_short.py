"""Margin by the broker's own figures, the throttle of repeats, and short sales."""

from dataclasses import replace
from decimal import Decimal

import pytest

from models.domain.orders import ChildOrder, Side
from models.risk.context import SendContext
from models.risk.limits import RiskLimits
from models.risk.margin import MarginImpact, check_margin
from models.risk.short_checks import check_child_short
from models.risk.throttle import (
    check_attempts,
    check_disabled,
    check_rejects,
    check_strategy_rejects,
)

LIMITS = RiskLimits(max_initial_margin=0.5)
IMPACT = MarginImpact(initial_before=10_000.0, initial_change=40_000.0, equity=100_000.0)
CHILD = ChildOrder("p", 1, 1, "KO", Side.SELL, 100, Decimal(50), "IOC")
DESK = SendContext(None, None, 100, {"KO": 100}, 1e5, 1e5, 1e5)


def test_margin_is_denied_one_cent_above_its_share_of_equity():
    verdict, pending = check_margin(IMPACT, 0.0, LIMITS)
    assert verdict.passed and pending == 40_000.0
    verdict, pending = check_margin(replace(IMPACT, initial_change=40_000.01), 0.0, LIMITS)
    assert not verdict.passed and pending == 0.0
    assert verdict.numbers == {"value": 50_000.01, "limit": 50_000.0}


def test_accepted_orders_of_the_same_plan_add_up():
    half = replace(IMPACT, initial_change=20_000.0)
    first, pending = check_margin(half, 0.0, LIMITS)
    second, pending = check_margin(half, pending, LIMITS)
    third, pending = check_margin(half, pending, LIMITS)
    assert (first.passed, second.passed, third.passed, pending) == (True, True, False, 40_000.0)
    sale, after = check_margin(replace(half, initial_change=-20_000.0), pending, LIMITS)
    assert sale.passed and after == 20_000.0


def test_what_lowers_margin_passes_in_an_account_without_equity():
    broke = replace(IMPACT, equity=0.0)
    assert not check_margin(broke, 0.0, LIMITS)[0].passed
    assert check_margin(replace(broke, initial_change=-1.0), 0.0, LIMITS)[0].passed


@pytest.mark.parametrize("field", ["initial_before", "initial_change", "equity"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_answer_and_no_number_deny(field, value):
    assert not check_margin(replace(IMPACT, **{field: value}), 0.0, LIMITS)[0].passed
    verdict, pending = check_margin("no answer", 7.0, LIMITS)
    assert not verdict.passed and "no answer" in verdict.reason and pending == 7.0


def test_repeats_and_refusals_stop_at_their_limit_until_enabled():
    limits = RiskLimits(max_attempts=3, max_rejects=2)
    assert check_attempts(replace(CHILD, attempt=3), DESK, limits).passed
    assert not check_attempts(replace(CHILD, attempt=4), DESK, limits).passed
    assert check_rejects(replace(DESK, rejects=1), limits).passed
    assert not check_rejects(replace(DESK, rejects=2), limits).passed
    assert check_strategy_rejects(replace(DESK, strategy_rejects=5), limits).passed
    assert not check_strategy_rejects(replace(DESK, strategy_rejects=6), limits).passed
    again = replace(DESK, times_enabled=1)
    assert check_attempts(replace(CHILD, attempt=4), again, limits).passed
    denied = check_disabled(replace(DESK, disabled="KO is disabled since 15:00 UTC: 2 refusals"))
    assert not denied.passed and "robo limits enable" in denied.reason


def test_a_sale_that_could_end_short_is_denied():
    assert check_child_short(CHILD, DESK, LIMITS).passed
    assert not check_child_short(replace(CHILD, quantity=101), DESK, LIMITS).passed
    working = replace(DESK, selling={"KO": 1})
    assert not check_child_short(CHILD, working, LIMITS).passed
    assert check_child_short(replace(CHILD, quantity=99), working, LIMITS).passed
    assert check_child_short(replace(CHILD, side=Side.BUY, quantity=500), DESK, LIMITS).passed


def test_what_is_borrowed_must_be_there():
    limits = RiskLimits(allow_short=True)
    sale = replace(CHILD, quantity=150)
    silent = check_child_short(sale, DESK, limits)
    assert not silent.passed and "has not said" in silent.reason
    assert check_child_short(sale, replace(DESK, shortable={"KO": 50}), limits).passed
    assert not check_child_short(sale, replace(DESK, shortable={"KO": 49}), limits).passed
    short = replace(DESK, positions={"KO": -30}, shortable={"KO": 150})
    assert check_child_short(sale, short, limits).passed
