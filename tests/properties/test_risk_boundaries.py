"""Every limit passes at its value and denies one step beyond; nothing that is not finite passes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.orders import ChildOrder, ParentOrder, Quote, Side
from models.domain.sessions import TradingSession
from models.risk import exposure_checks, plan_checks, send_checks
from models.risk.context import PlanContext, SendContext
from models.risk.gate import check_child, check_parent
from models.risk.limits import RiskLimits
from models.risk.quotes import PriceReference

OPEN = datetime(2023, 1, 3, 14, 30, tzinfo=UTC)
CLOSE = datetime(2023, 1, 3, 21, tzinfo=UTC)
NOW = datetime(2023, 1, 3, 16, tzinfo=UTC)
ORDER = ParentOrder(
    "p", OPEN.date(), "trend", "KO", Side.BUY, 100, "TWAP", OPEN, CLOSE, Decimal(50), OPEN, "m"
)
CHILD = ChildOrder("p", 1, 1, "KO", Side.BUY, 100, Decimal("50.01"), "IOC")
QUOTE = Quote("KO", Decimal("49.99"), Decimal("50.01"), 500, 500, NOW)
SESSION = TradingSession(OPEN.date(), OPEN, CLOSE)
BOOK = PlanContext(equity=100_000.0, adv={"KO": 1e7}, session=SESSION, closes={"KO": 50.0})
DESK = SendContext(
    *(None, SESSION, 100, {}, 100_000.0, 100_000.0, 100_000.0),
    reference=PriceReference(Decimal(50), NOW),
)
NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
BAD_DECIMALS = [Decimal(text) for text in ("NaN", "sNaN", "Infinity", "-Infinity")]


@given(st.integers(1, 10_000_000))
def test_order_quantity(limit: int) -> None:
    limits = RiskLimits(max_order_quantity=limit)
    assert plan_checks.check_quantity(replace(ORDER, quantity=limit), limits).passed
    assert not plan_checks.check_quantity(replace(ORDER, quantity=limit + 1), limits).passed


@given(st.integers(100, 10**9), st.integers(1, 10**4))
def test_order_notional_to_the_cent(cents: int, shares: int) -> None:
    limits = RiskLimits(max_order_notional=cents / 100)
    exact = replace(ORDER, quantity=1, decision_price=Decimal(cents) / 100)
    above = replace(exact, decision_price=Decimal(cents + 1) / 100)
    assert plan_checks.check_notional(exact, limits).passed
    assert not plan_checks.check_notional(above, limits).passed
    many = replace(ORDER, quantity=shares, decision_price=Decimal(cents + 1) / 100 / shares)
    assert not plan_checks.check_notional(many, limits).passed


@given(st.integers(2, 1000), st.integers(0, 999), st.sampled_from(Side))
def test_position_weight(most: int, held: int, side: Side) -> None:
    """Equity and price are powers of two, so that the weight of a share is exact."""
    held = min(held, most) * side.sign
    limits = RiskLimits(max_position_weight=most / 1024, allow_short=True)
    book = replace(BOOK, equity=65536.0, positions={"KO": held})
    order = replace(ORDER, side=side, decision_price=Decimal(64))
    room = most - abs(held)
    if room:
        assert plan_checks.check_position(replace(order, quantity=room), book, limits).passed
    assert not plan_checks.check_position(replace(order, quantity=room + 1), book, limits).passed


@given(st.integers(11, 2048), st.integers(1, 2000))
def test_gross_and_net_exposure(most: int, other: int) -> None:
    limits = RiskLimits(max_gross_exposure=most / 1024, max_net_exposure=most / 1024)
    other = min(other, most - 1)
    book = replace(BOOK, equity=65536.0, positions={"XOM": -other}, prices={"XOM": 64.0})
    order = replace(ORDER, decision_price=Decimal(64))
    gross_room, net_room = most - other, most + other
    check = plan_checks.check_gross
    assert check(replace(order, quantity=gross_room), book, limits).passed
    assert not check(replace(order, quantity=gross_room + 1), book, limits).passed
    check = plan_checks.check_net
    assert check(replace(order, quantity=net_room), book, limits).passed
    assert not check(replace(order, quantity=net_room + 1), book, limits).passed


@given(st.integers(1, 10**6))
def test_share_of_daily_volume(shares: int) -> None:
    limits = RiskLimits(max_adv_share=1 / 64)
    book = replace(BOOK, adv={"KO": 64.0 * shares})
    assert plan_checks.check_adv(replace(ORDER, quantity=shares), book, limits).passed
    assert not plan_checks.check_adv(replace(ORDER, quantity=shares + 1), book, limits).passed


@given(st.integers(1, 86_400))
def test_duplicate_window(window: int) -> None:
    limits = RiskLimits(duplicate_window=window)
    later = replace(ORDER, parent_id="q", decided_at=OPEN + timedelta(seconds=window))
    sooner = replace(later, decided_at=later.decided_at - timedelta(microseconds=1))
    book = replace(BOOK, recent=(ORDER,))
    assert plan_checks.check_duplicate(later, book, limits).passed
    assert not plan_checks.check_duplicate(sooner, book, limits).passed


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_sale_never_exceeds_the_shares_held(held: int, selling: int) -> None:
    book = replace(BOOK, positions={"KO": held}, pending={"KO": -min(selling, held)})
    free = held - min(selling, held)
    sale = replace(ORDER, side=Side.SELL)
    if free:
        assert plan_checks.check_short(replace(sale, quantity=free), book, RiskLimits()).passed
    over = replace(sale, quantity=free + 1)
    assert not plan_checks.check_short(over, book, RiskLimits()).passed
    lendable = RiskLimits(allow_short=True)
    borrowed = over.quantity - free
    assert plan_checks.check_short(over, book, lendable).passed, "asked again at each send"
    enough = replace(book, shortable={"KO": borrowed})
    assert plan_checks.check_short(over, enough, lendable).passed
    short_by_one = replace(book, shortable={"KO": borrowed - 1})
    assert not plan_checks.check_short(over, short_by_one, lendable).passed


@given(st.integers(1, 5_000), st.sampled_from([1, -1]))
def test_price_collar(bps: int, direction: int) -> None:
    limits = RiskLimits(price_collar_bps=bps)
    edge = QUOTE.mid * (1 + direction * Decimal(bps) / 10_000)
    beyond = edge + direction * Decimal("0.0001")
    assert send_checks.check_collar(replace(CHILD, limit_price=edge), QUOTE, limits).passed
    assert not send_checks.check_collar(replace(CHILD, limit_price=beyond), QUOTE, limits).passed


@given(st.integers(1, 3_600), st.sampled_from([1, -1]))
def test_quote_age(seconds: int, direction: int) -> None:
    limits = RiskLimits(max_quote_age=seconds)
    edge = replace(QUOTE, at=NOW - direction * timedelta(seconds=seconds))
    old = replace(edge, at=edge.at - direction * timedelta(microseconds=1))
    assert send_checks.check_quote(CHILD, edge, limits, NOW).passed
    assert not send_checks.check_quote(CHILD, old, limits, NOW).passed


@given(st.integers(1, 200))
def test_orders_per_minute(limit: int) -> None:
    limits = RiskLimits(max_orders_per_minute=limit)
    old = NOW - timedelta(seconds=60)
    recent = old + timedelta(microseconds=1)
    full = replace(DESK, recent_sends=(recent,) * limit)
    room = replace(DESK, recent_sends=(recent,) * (limit - 1) + (old,) * 5)
    assert send_checks.check_rate(room, limits, NOW).passed
    assert not send_checks.check_rate(full, limits, NOW).passed


@given(st.integers(1, 10**6))
def test_child_within_what_its_parent_has_left(left: int) -> None:
    desk = replace(DESK, parent_remaining=left)
    assert send_checks.check_remaining(replace(CHILD, quantity=left), desk).passed
    assert not send_checks.check_remaining(replace(CHILD, quantity=left + 1), desk).passed


@pytest.mark.parametrize("name", ["daily_loss", "drawdown"])
@given(st.integers(1, 511))
def test_losses(name: str, parts: int) -> None:
    limits = RiskLimits(max_daily_loss=parts / 1024, max_drawdown=max(parts, 2) / 1024)
    check = getattr(send_checks, f"check_{name}")
    limit = getattr(limits, f"max_{name}")
    edge = 1024.0 * (1 - limit)
    desk = replace(DESK, day_start_equity=1024.0, peak_equity=1024.0)
    assert check(CHILD, replace(desk, equity=edge), limits).passed
    lost = replace(desk, equity=edge - 1e-6)
    assert not check(CHILD, lost, limits).passed
    short = replace(lost, positions={"KO": -CHILD.quantity})
    assert check(CHILD, short, limits).passed
    assert not check(replace(CHILD, quantity=CHILD.quantity + 1), short, limits).passed


@given(st.sampled_from(NOT_FINITE), st.sampled_from(["equity", "price", "adv"]))
def test_no_parent_passes_on_a_book_that_is_not_finite(value: float, where: str) -> None:
    book = replace(BOOK, positions={"XOM": 1}, prices={"XOM": 100.0})
    assert all(verdict.passed for verdict in check_parent(ORDER, book, RiskLimits()))
    broken = {
        "equity": replace(book, equity=value),
        "price": replace(book, prices={"XOM": value}),
        "adv": replace(book, adv={"KO": value}),
    }[where]
    assert not all(verdict.passed for verdict in check_parent(ORDER, broken, RiskLimits()))


@given(st.sampled_from([*BAD_DECIMALS, Decimal(0), Decimal(-50)]))
def test_no_parent_passes_on_a_decision_price_that_is_no_price(price: Decimal) -> None:
    verdicts = check_parent(replace(ORDER, decision_price=price), BOOK, RiskLimits())
    assert not all(verdict.passed for verdict in verdicts)


@given(st.sampled_from(NOT_FINITE), st.sampled_from(["equity", "day_start_equity", "peak_equity"]))
def test_no_child_passes_on_an_equity_that_is_not_finite(value: float, where: str) -> None:
    assert all(v.passed for v in check_child(CHILD, QUOTE, DESK, RiskLimits(), NOW))
    desk = replace(DESK, positions={"KO": -1000}, **{where: value})
    assert not all(v.passed for v in check_child(CHILD, QUOTE, desk, RiskLimits(), NOW))


@given(st.sampled_from([*BAD_DECIMALS, Decimal(0), Decimal(-1)]), st.sampled_from(["bid", "ask"]))
def test_no_child_passes_on_a_bad_quote(value: Decimal, where: str) -> None:
    quote = replace(QUOTE, **{where: value})
    denied = {v.check for v in check_child(CHILD, quote, DESK, RiskLimits(), NOW) if not v.passed}
    assert {"quote", "collar"} <= denied


@given(st.sampled_from(BAD_DECIMALS))
def test_no_child_passes_with_a_limit_that_is_not_finite(value: Decimal) -> None:
    child = replace(CHILD, limit_price=value)
    denied = {v.check for v in check_child(child, QUOTE, DESK, RiskLimits(), NOW) if not v.passed}
    assert denied == {"collar"}


@given(st.integers(1, 512), st.integers(0, 511), st.integers(0, 600), st.sampled_from(Side))
def test_a_position_in_its_worst_case(most: int, held: int, working: int, side: Side) -> None:
    """Equity and mid are powers of two, so that the weight of a share is exact."""
    held = min(held, most)
    limits = RiskLimits(max_position_weight=max(most, 2) / 1024)
    most = max(most, 2)
    against = {"KO": working}
    desk = replace(
        DESK,
        equity=65536.0,
        positions={"KO": side.sign * held},
        buying=against if side is Side.SELL else {},
        selling=against if side is Side.BUY else {},
    )
    quote = replace(QUOTE, bid=Decimal(64), ask=Decimal(64))
    room = most - held
    child = replace(CHILD, side=side)
    check = exposure_checks.check_child_position
    if room:
        assert check(replace(child, quantity=room), quote, desk, limits).passed or working > most
    denied = check(replace(child, quantity=room + 1), quote, desk, limits)
    assert not denied.passed or working - held >= most + 1, "the other side's worst is larger"


@given(
    st.dictionaries(st.sampled_from("ABC"), st.integers(-50, 50)),
    st.dictionaries(st.sampled_from("ABC"), st.integers(0, 50)),
    st.dictionaries(st.sampled_from("ABC"), st.integers(0, 50)),
    st.sampled_from("ABC"),
    st.sampled_from(Side),
    st.integers(1, 60),
    st.integers(10, 4000),
)
def test_no_outcome_of_what_works_exceeds_gross_or_net(
    held: dict[str, int],
    buying: dict[str, int],
    selling: dict[str, int],
    symbol: str,
    side: Side,
    quantity: int,
    percent: int,
) -> None:
    """What passes without an excuse keeps both limits however much of each order fills."""
    limits = RiskLimits(
        max_gross_exposure=min(percent, 400) / 100, max_net_exposure=min(percent, 400) / 100
    )
    mids = dict.fromkeys("ABC", 64.0)
    desk = replace(DESK, equity=8192.0, positions=held, buying=buying, selling=selling, mids=mids)
    child = replace(CHILD, symbol=symbol, side=side, quantity=quantity)
    quote = Quote(symbol, Decimal(64), Decimal(64), 1, 1, NOW)
    gross, net = exposure_checks.check_child_books(child, quote, desk, limits)
    mine = buying if side is Side.BUY else selling
    after = mine | {symbol: mine.get(symbol, 0) + quantity}
    buys, sells = (after, selling) if side is Side.BUY else (buying, after)
    for bought, sold in ((0, 0), (1, 0), (0, 1), (1, 1)):
        book = [
            64 * (held.get(s, 0) + bought * buys.get(s, 0) - sold * sells.get(s, 0)) for s in "ABC"
        ]
        if gross.passed and "but" not in gross.reason:
            assert sum(map(abs, book)) <= limits.max_gross_exposure * 8192
        if net.passed and "but" not in net.reason:
            assert abs(sum(book)) <= limits.max_net_exposure * 8192
