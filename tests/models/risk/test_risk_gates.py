from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from models.domain.orders import ChildOrder, ParentOrder, Quote, Side
from models.domain.sessions import session_on
from models.risk.context import PlanContext, SendContext
from models.risk.gate import check_child, check_parent
from models.risk.limits import RiskLimits
from models.risk.quotes import PriceReference
from models.risk.verdict import Verdict, all_passed, denials

SESSION = session_on(datetime(2022, 11, 25, tzinfo=UTC).date())  # a half-day: closes at 18:00 UTC
NOW = datetime(2022, 11, 25, 15, tzinfo=UTC)
ORDER = ParentOrder(
    "p", NOW.date(), "trend", "KO", Side.BUY, 100, "TWAP", NOW, NOW + timedelta(hours=2),
    Decimal(50), NOW, "m",
)  # fmt: skip
CHILD = ChildOrder("p", 1, 1, "KO", Side.BUY, 100, Decimal("50.01"), "IOC")
QUOTE = Quote("KO", Decimal("49.99"), Decimal("50.01"), 500, 500, NOW)
LIMITS = RiskLimits()
BOOK = PlanContext(
    equity=100_000.0, adv={"KO": 1e7}, session=SESSION, closes={"KO": 50.0, "gme": 50.0}
)
GOOD = PriceReference(Decimal(50), NOW)
DESK = SendContext(None, SESSION, 100, {}, 100_000.0, 100_000.0, 100_000.0, reference=GOOD)


def denied_parent(order=ORDER, book=BOOK, limits=LIMITS):
    return [v.check for v in check_parent(order, book, limits) if not v.passed]


def denied_child(child=CHILD, quote=QUOTE, desk=DESK, limits=LIMITS, now=NOW):
    return [v.check for v in check_child(child, quote, desk, limits, now) if not v.passed]


def test_an_ordinary_order_passes_every_check():
    assert denied_parent() == denied_child() == []
    assert len(check_parent(ORDER, BOOK, RiskLimits())) == 17
    assert len(check_child(CHILD, QUOTE, DESK, RiskLimits(), NOW)) == 23


@pytest.mark.parametrize(
    ("order", "checks"),
    [
        ({"quantity": 10_000}, {"notional", "position", "gross", "net"}),  # a quantity x 100
        ({"quantity": 10_001, "decision_price": Decimal(1)}, {"quantity", "price"}),
        ({"decision_price": Decimal(500)}, {"position", "price"}),  # a price x 10
        ({"decision_price": Decimal(5000)}, {"notional", "position", "gross", "net", "price"}),
        ({"decision_price": Decimal("0.50")}, {"price"}),  # pennies for dollars
        ({"start": NOW - timedelta(hours=1)}, {"market_open"}),
        ({"end": NOW + timedelta(hours=4)}, {"market_open"}),
        ({"side": Side.SELL}, {"short"}),  # the wrong side
        ({"quantity": 0}, {"quantity"}),
        ({"symbol": "gme"}, {"restricted", "adv"}),
    ],
)
def test_fat_fingers_are_denied(order, checks):
    limits = RiskLimits(restricted=frozenset({"GME"}))
    assert set(denied_parent(replace(ORDER, **order), limits=limits)) == checks


def test_a_symbol_about_which_ledger_and_broker_differ_is_denied_and_no_other():
    reason = "D1, position mismatch KO"
    assert denied_parent(book=replace(BOOK, blocked={"KO": reason})) == ["blocked_symbol"]
    assert denied_parent(book=replace(BOOK, blocked={"XOM": reason})) == []
    assert denied_child(desk=replace(DESK, blocked_reason=reason)) == ["blocked_symbol"]


def test_a_sale_in_the_same_batch_pays_for_a_purchase():
    full = replace(BOOK, positions={"XOM": 1000}, prices={"XOM": 100.0})
    assert denied_parent(book=full) == ["gross", "net"]
    assert denied_parent(book=replace(full, pending={"XOM": -100})) == []


def test_an_order_that_reduces_passes_though_the_book_is_over_its_limits():
    over = replace(BOOK, positions={"KO": 4000})
    sale = replace(ORDER, side=Side.SELL)
    assert denied_parent(sale, over) == []
    assert set(denied_parent(ORDER, over)) == {"position", "gross", "net"}


def test_what_is_compared_is_told_once_and_in_its_unit():
    """Seen in a ledger: "off the last close by 3.18294e-05 of it is within ... 0.3 of it"."""
    book = replace(BOOK, closes={"KO": 100.0}, adv={"KO": 1e6})
    order = replace(ORDER, decision_price=Decimal("100.01"), quantity=109)
    found = {v.check: v for v in check_parent(order, book, RiskLimits(max_adv_share=1e-5))}
    assert found["price"].reason == (
        "decision price 100.01 USD is 0.01 % off the last close of 100 USD, within the limit of "
        "30 %"
    )
    assert found["price"].numbers["limit"] == 0.3
    assert found["adv"].reason == (
        "order, at most 0.001 % of the average daily volume, of 109 shares is above the limit of "
        "10 shares"
    )


def test_a_symbol_of_the_book_without_a_price_denies():
    assert denied_parent(book=replace(BOOK, positions={"XOM": 1})) == ["gross", "net"]
    assert denied_parent(book=replace(BOOK, positions={"XOM": 0})) == []


def test_pending_purchases_cannot_be_sold():
    book = replace(BOOK, positions={"KO": 50}, pending={"KO": 100})
    assert denied_parent(replace(ORDER, side=Side.SELL), book) == ["short"]
    assert denied_parent(replace(ORDER, side=Side.SELL, quantity=50), book) == []


def test_duplicates_are_of_one_strategy_symbol_and_side():
    again = replace(ORDER, parent_id="q", decided_at=NOW + timedelta(seconds=1))
    book = replace(BOOK, recent=(ORDER,))
    assert denied_parent(again, book) == ["duplicate"]
    assert denied_parent(ORDER, book) == []
    assert denied_parent(replace(again, strategy="value"), book) == []


def test_a_halt_denies_with_its_reason():
    verdicts = check_child(CHILD, QUOTE, replace(DESK, halt_reason="by hand"), RiskLimits(), NOW)
    assert denials(verdicts) == "halt: trading is halted: by hand"


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        (datetime(2022, 11, 25, 14, 29, 59, tzinfo=UTC), False),
        (datetime(2022, 11, 25, 14, 30, tzinfo=UTC), True),
        (datetime(2022, 11, 25, 17, 59, 59, tzinfo=UTC), True),
        (datetime(2022, 11, 25, 18, 0, tzinfo=UTC), False),
    ],
)
def test_a_half_day_ends_early(now, is_open):
    denied = denied_child(quote=replace(QUOTE, at=now), now=now)
    assert denied == ([] if is_open else ["market_open"])


def test_a_holiday_denies():
    assert denied_child(desk=replace(DESK, session=None)) == ["market_open"]


def test_no_quote_or_another_symbols_denies():
    book = ["notional", "position", "gross", "net"]
    assert denied_child(quote=None) == ["quote", "jump", "collar", *book]
    assert denied_child(quote=replace(QUOTE, symbol="PEP")) == ["quote", *book]


def test_a_child_without_a_limit_or_of_a_restricted_symbol_denies():
    assert denied_child(replace(CHILD, limit_price=None)) == ["collar"]
    assert denied_child(limits=RiskLimits(restricted=frozenset({"KO"}))) == ["restricted"]
    assert denied_child(replace(CHILD, quantity=0)) == ["remaining"]


def test_losses_leave_only_reducing_orders():
    lost = replace(DESK, equity=96_000.0)
    assert denied_child(desk=lost) == ["daily_loss"]
    sunk = replace(lost, equity=70_000.0)
    assert denied_child(desk=sunk) == ["daily_loss", "drawdown"]
    assert (
        denied_child(replace(CHILD, side=Side.SELL), desk=replace(sunk, positions={"KO": 100}))
        == []
    )
    assert denied_child(desk=replace(DESK, day_start_equity=0.0)) == ["daily_loss"]


def test_no_verdicts_is_no_permission():
    assert not all_passed([])
    assert all_passed([Verdict("a", True, "")])
    assert not all_passed([Verdict("a", True, ""), Verdict("b", False, "")])


def test_a_verdict_says_what_it_compared():
    verdicts = check_parent(replace(ORDER, quantity=10_001), BOOK, RiskLimits())
    verdict = next(v for v in verdicts if v.check == "quantity")
    assert verdict.reason == "order of 10,001 shares is above the limit of 10,000 shares"
    assert verdict.numbers == {"value": 10_001, "limit": 10_000}


FULL = replace(
    DESK,
    positions={"XOM": 1000},  # the whole equity at 100 USD
    mids={"XOM": 100.0},
)


def test_a_sale_pays_for_a_purchase_only_once_it_is_filled():
    selling = replace(FULL, selling={"XOM": 500})
    assert denied_child(desk=selling) == ["gross", "net"]
    assert denied_child(desk=replace(FULL, positions={"XOM": 500})) == []


def test_a_purchase_on_its_way_takes_its_room():
    room = replace(FULL, positions={"XOM": 900}, mids={"XOM": 100.0, "PEP": 100.0})
    assert denied_child(desk=room) == []
    assert denied_child(desk=replace(room, buying={"PEP": 51})) == ["gross", "net"]
    most = replace(DESK, buying={"KO": 400})
    assert denied_child(desk=most) == []
    assert denied_child(desk=replace(most, buying={"KO": 401})) == ["position"]


def test_what_only_reduces_passes_in_a_book_that_is_over_every_limit():
    over = replace(FULL, equity=99_000.0, positions={"XOM": 1000, "KO": 3000})
    sale = replace(CHILD, side=Side.SELL, quantity=2000)
    desk = replace(over, parent_remaining=3000)
    assert denied_child(sale, desk=desk) == []
    assert denied_child(sale, desk=replace(desk, selling={"KO": 1000})) == []
    assert "notional" in denied_child(sale, desk=replace(desk, selling={"KO": 1001}))
    assert set(denied_child(desk=over)) == {"position", "gross", "net"}
    assert denied_child(sale, desk=replace(desk, equity=-1.0)) == []
    assert {"position", "gross", "net"} <= set(denied_child(desk=replace(DESK, equity=-1.0)))


def test_sales_that_could_end_short_are_weighed_as_such():
    desk = replace(DESK, positions={"KO": 100}, selling={"KO": 600}, parent_remaining=5000)
    sale = replace(CHILD, side=Side.SELL)
    assert denied_child(replace(sale, quantity=0), desk=desk) == ["remaining"]
    assert denied_child(sale, desk=desk) == ["position", "short"], "600 short at 50 USD are 30 %"


def test_a_held_symbol_without_a_mid_denies_what_adds():
    assert denied_child(desk=replace(FULL, mids={})) == ["gross", "net"]


def test_a_child_is_never_worth_more_than_an_order_may_be():
    large = replace(CHILD, quantity=1001)
    desk = replace(DESK, parent_remaining=2000, equity=1e6, day_start_equity=1e6)
    assert denied_child(large, desk=desk) == ["notional"]
    assert denied_child(replace(large, quantity=1000), desk=desk) == []
