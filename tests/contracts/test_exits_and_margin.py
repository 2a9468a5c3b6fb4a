"""Stops, targets, margin and borrowing against a real gateway."""

import asyncio
import time
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from models.domain.errors import RetryLater, SkipToday
from models.domain.orders import ChildState, OrderKind, ParentState, Side
from models.domain.regimes import Regime
from models.domain.sessions import exchange_date
from models.risk.exits import ExitRules
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict
from tasks.books.account_snapshot import read_account
from tasks.books.reconciliation import reconcile
from tasks.planning.borrowing import read_shortable
from tasks.planning.margin import with_margin
from tasks.planning.portfolio import RebalancePlan
from tasks.planning.reference_closes import read_closes
from tasks.program_version import working_version
from warehouse.ledger.symbol_facts import SymbolFacts

pytestmark = pytest.mark.journey

WIDE = {"max_order_quantity": 100_000, "max_price_gap": 1.0, "max_drawdown": 0.9}
RESTING = RiskLimits(**WIDE, exits=ExitRules(mode="resting"))
SHORTING = RiskLimits(**WIDE, allow_short=True, max_position_weight=0.5)


def last_close(gateway, symbol, session):
    async def ask():
        async with gateway.data(40) as link:
            bars = await link.daily_bars(
                symbol, session - timedelta(days=9), session - timedelta(days=1)
            )
            return Decimal(str(bars["close"].iloc[-1]))

    return asyncio.run(ask())


def note_facts(ledger, span, symbol, price, atr):
    facts = SymbolFacts(symbol, Decimal(price).quantize(Decimal("0.01")), 1e7, atr, Regime.BULL)
    ledger.facts.note(span.session, [facts], span.start - timedelta(hours=1))


def open_exits(ledger):
    return {r.order.symbol: r.order.quantity for r in ledger.parents.open_exits()}


def working(settings):
    return {o.order_ref: o for o in read_account(settings).open_orders}


def test_what_is_bought_is_protected_resized_and_released(
    start_gateway, tmp_path, open_ledger, make_span, make_parent, execute
):
    gateway = start_gateway()
    settings = gateway.client(tmp_path / "home")
    ledger = open_ledger(settings)
    span = make_span(gateway, 20)
    price = last_close(gateway, "KO", span.session)
    note_facts(ledger, span, "KO", price, 1.5)
    buy = make_parent(span, "KO", quantity=90, decision_price=price)
    ledger.parents.add([buy])
    execute(settings, ledger, limits=RESTING)
    assert ledger.parents.get(buy.parent_id).state is ParentState.FILLED
    first, last = ledger.parents.of_session(span.session, "exits")
    assert (first.order.quantity, first.state) == (30, ParentState.CANCELLED), "after one slice"
    assert (last.order.quantity, last.state) == (90, ParentState.WORKING), "once it has ended"
    resting = working(settings)
    assert len(resting) == 2
    children = [ledger.children.get(ref).order for ref in resting]
    assert {c.kind for c in children} == {OrderKind.STOP, OrderKind.LIMIT}
    assert all(c.quantity == 90 and c.tif == "GTC" for c in children)
    assert {c.state for c in children} == {ChildState.ACKED}
    assert reconcile(ledger, read_account(settings)).agrees

    gateway.kill()  # the orders are the broker's: they rest through a restart of both
    gateway.restart()
    assert set(working(settings)) == set(resting)
    for order in working(settings).values():
        gateway.ask("cancel", perm_id=order.perm_id)
    assert reconcile(ledger, read_account(settings)).agrees
    execute(settings, ledger, limits=RESTING)  # with every parent ended, for the exits' sake
    assert set(working(settings)).isdisjoint(resting)
    assert len(working(settings)) == 2
    with pytest.raises(SkipToday, match="every parent has ended"):
        execute(settings, ledger, limits=RESTING)
    span = make_span(gateway, 20)
    sale = make_parent(span, "KO", quantity=90, side=Side.SELL, decision_price=price)
    ledger.parents.add([sale])
    gateway.ask("fault", fault="refuse-cancel", params={"count": 2})  # of stop and target: again
    result = execute(settings, ledger, limits=RESTING)
    assert ledger.parents.get(sale.parent_id).state is ParentState.FILLED
    assert ledger.executions.positions(result.account) == {}
    assert working(settings) == {} == open_exits(ledger)
    assert reconcile(ledger, read_account(settings)).agrees
    assert ledger.check() == []


def test_a_stop_that_is_reached_ends_the_position_and_its_target(
    start_gateway, tmp_path, open_ledger, make_span, make_parent, execute
):
    """A true range of cents puts the stop so near that the day's noise reaches it."""
    gateway = start_gateway()
    settings = gateway.client(tmp_path / "home")
    ledger = open_ledger(settings)
    span = make_span(gateway, 40)
    price = last_close(gateway, "KO", span.session)
    note_facts(ledger, span, "KO", price, 0.02)
    parent = make_parent(span, "KO", quantity=60, decision_price=price)
    ledger.parents.add([parent])
    result = execute(settings, ledger, limits=RESTING)
    exits = ledger.parents.of_session(span.session, "exits")
    sold = sum(f.quantity for r in exits for f in ledger.executions.fills_of(r.order.parent_id))
    bought = sum(f.quantity for f in ledger.executions.fills_of(parent.parent_id))
    assert sold > 0, "the stop or the target was reached"
    held = ledger.executions.positions(result.account).get("KO", 0)
    assert held == bought - sold >= 0
    assert sum(open_exits(ledger).values()) == held
    if sold and bought < 60:
        assert "an exit of KO has traded" in ledger.parents.get(parent.parent_id).reason
    assert reconcile(ledger, read_account(settings)).agrees
    assert ledger.check() == []


def bare_position(gateway, settings, ledger, make_span, make_parent, execute):
    """Thirty shares without exits, noted facts to protect them, and another order to work."""
    span = make_span(gateway, 10)
    price = last_close(gateway, "KO", span.session)
    ledger.parents.add([make_parent(span, "KO", quantity=30, decision_price=price)])
    execute(settings, ledger, limits=RiskLimits(**WIDE))
    span = make_span(gateway, 30)
    note_facts(ledger, span, "KO", price, 1.5)
    peers = last_close(gateway, "PEP", span.session)
    ledger.parents.add([make_parent(span, "PEP", quantity=30, decision_price=peers)])
    ledger.versions.note(span.session, working_version(RESTING), span.start, accepted_by="a test")


def test_exits_that_arrive_after_their_resend_protect_once(
    start_gateway, tmp_path, open_ledger, make_span, make_parent, execute
):
    """Both are under way for longer than two looks, and then change what was sent in their place.

    One id, one order: it goes on under the first name, and is followed as the second.
    """
    gateway = start_gateway()
    settings = gateway.client(tmp_path / "home", quiet_period=0.4)
    ledger = open_ledger(settings)
    bare_position(gateway, settings, ledger, make_span, make_parent, execute)
    gateway.ask("fault", fault="late-orders", params={"count": 2, "ms": 1500})
    execute(settings, ledger, limits=RESTING)
    time.sleep(1.5)
    (exit_,) = [r for r in ledger.parents.open_exits() if r.order.symbol == "KO"]
    assert exit_.state is ParentState.WORKING
    resting = [o for o in working(settings).values() if o.symbol == "KO"]
    children = ledger.children.of_parent(exit_.order.parent_id)
    alive = [child for child in children if not child.state.is_terminal]
    assert sorted(child.slice_no for child in alive) == [1, 2]
    assert {child.perm_id for child in alive} == {order.perm_id for order in resting}
    assert reconcile(ledger, read_account(settings)).agrees
    for order in resting:
        gateway.ask("cancel", perm_id=order.perm_id)
    assert reconcile(ledger, read_account(settings)).agrees, "completed under the first name"
    assert ledger.check() == []


def plan_of(*parents):
    passed = (Verdict("quantity", True, "fine"),)
    first = parents[0]
    return RebalancePlan(
        session=first.session, as_of=date(2022, 12, 28), model_version="m",
        decided_at=first.decided_at, signals={}, weights={}, targets={}, prices={},
        parents=parents, verdicts={p.parent_id: passed for p in parents}, notes=(),
    )  # fmt: skip


async def test_the_broker_says_what_may_be_borrowed(gateway, settings, into_session):
    async with gateway.clock() as clock:
        await into_session(clock)
        told = await asyncio.to_thread(read_shortable, settings, ["KO", "PFE"])
    assert told == {"KO": 5_000_000, "PFE": 5_000_000}


async def test_the_broker_tells_its_own_last_closes(gateway, settings, into_session):
    async with gateway.clock() as clock:
        await into_session(clock)
        told = await asyncio.to_thread(read_closes, settings, ["KO", "PFE"])
        session = exchange_date(clock.now())
        bar = await asyncio.to_thread(last_close, gateway, "KO", session)
    assert told.keys() == {"KO", "PFE"}
    assert told["KO"] == pytest.approx(float(bar), abs=0.011)


async def test_a_what_if_tells_margin_and_places_nothing(gateway, make_child, settings):
    async with gateway.orders(31) as link:
        await link.qualify(["KO"])
        child = replace(make_child(None, "60.00", quantity=100), tif="DAY")
        small = await link.what_if(child)
        large = await link.what_if(replace(child, quantity=200))
        assert small.equity > 0 and small.initial_change > 0
        assert large.initial_change == pytest.approx(2 * small.initial_change, rel=1e-3)
        evidence = await link.collect_evidence()
        assert not any(o.order_ref == child.order_ref for o in evidence.orders)


def test_a_plan_beyond_margin_is_denied_by_the_brokers_own_figures(
    gateway, settings, make_span, make_parent
):
    span = make_span(gateway, 10)
    equity = float(read_account(settings).net_liquidation)
    parents = [make_parent(span, name, quantity=int(equity / 400)) for name in ("KO", "PEP", "WMT")]
    plan = plan_of(*parents)
    assert with_margin(plan, RiskLimits(), settings) is plan, "a cash account is not asked about"
    asked = with_margin(plan, RiskLimits(margin_account=True, max_initial_margin=0.25), settings)
    margin = {p.symbol: asked.verdicts[p.parent_id][-1] for p in parents}
    assert all(v.check == "margin" for v in margin.values())
    assert 0 < len(asked.accepted) < 3
    assert "initial margin after all accepted orders" in margin["WMT"].reason
    away = settings.model_copy(update={"port": 1})
    with pytest.raises(RetryLater, match="no gateway answers"):
        with_margin(plan, RiskLimits(margin_account=True), away)


def test_a_symbol_that_the_broker_will_not_judge_is_denied(
    settings, gateway, make_span, make_parent
):
    span = make_span(gateway, 10)
    halved = make_parent(span, "KO", limit_price=Decimal("-1"))
    hasty = settings.model_copy(update={"broker_timeout": 1.0})  # 321 is answered by nothing
    asked = with_margin(plan_of(halved), RiskLimits(margin_account=True), hasty)
    (_, verdict) = asked.verdicts[halved.parent_id]
    assert not verdict.passed
    assert "did not say what the order would need" in verdict.reason


def test_a_short_sale_that_is_held_for_a_locate_waits_and_is_not_sent_again(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway, 30)
    price = last_close(gateway, "PFE", span.session)
    parent = make_parent(span, "PFE", side=Side.SELL, quantity=30, decision_price=price)
    ledger.parents.add([parent])
    denied = execute(settings, ledger, limits=RiskLimits(**WIDE)).denied
    assert any("shares held" in reason for reason in denied.values())
    assert ledger.children.of_parent(parent.parent_id) == ()
    checks = [c for c in ledger.parents.verdicts(parent.parent_id) if not c.passed]
    assert {c.check for c in checks} == {"short"}

    span = make_span(gateway, 30)
    again = make_parent(span, "PFE", side=Side.SELL, quantity=30, decision_price=price)
    ledger.parents.add([again])
    gateway.ask("fault", fault="locate-hold", params={"seconds": 60.0, "count": 1})
    accepted = working_version(SHORTING)  # as `robo resume` lets changed limits in
    ledger.versions.note(span.session, accepted, gateway.now, accepted_by="test")
    execute(settings, ledger, limits=SHORTING)
    children = ledger.children.of_parent(again.parent_id)
    assert {c.attempt for c in children} == {1}
    held = [
        e.payload["why_held"]
        for c in children
        for e in ledger.events.of_order(c.order_ref)
        if e.kind == "order_status"
    ]
    assert "locate" in held
    notices = [
        e.payload["code"]
        for c in children
        for e in ledger.events.of_order(c.order_ref)
        if e.kind == "notice"
    ]
    assert 404 in notices
    assert ledger.executions.positions(read_account(settings).account)["PFE"] == -30
    assert ledger.parents.get(again.parent_id).state is ParentState.FILLED
    assert ledger.check() == []
