"""Whole execution sessions against a real gateway: to the end, again, and from the middle on."""

import asyncio
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from models.domain.errors import HaltTrading, RetryLater, SkipToday
from models.domain.orders import ChildState, ParentState, Side
from models.domain.sessions import exchange_date, next_session, session_on
from models.risk.limits import RiskLimits
from tasks.books.execution_report import day_report
from tasks.books.reconciliation import reconcile
from tasks.live_config import live_fingerprint

pytestmark = pytest.mark.journey


def states(ledger, session):
    return [record.state for record in ledger.parents.of_session(session)]


def fills(ledger, session):
    return [
        (f.order_ref, f.side, f.quantity, f.price, f.commission, f.at)
        for f in fills_of(ledger, session)
    ]


def fills_of(ledger, session):
    found = [
        fill
        for record in ledger.parents.of_session(session)
        for fill in ledger.executions.fills_of(record.order.parent_id)
    ]
    return sorted(found, key=lambda fill: (fill.at, fill.exec_id))


async def evidence_of(gateway, client_id=30):
    async with gateway.orders(client_id) as link:
        return await link.collect_evidence()


async def test_parents_with_different_slices_are_worked_to_the_share(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway)
    late = span.start + timedelta(minutes=7)
    parents = [
        make_parent(span, "KO", quantity=91),
        make_parent(span, "PEP", quantity=2),  # fewer shares than slices
        make_parent(span, "WMT", quantity=40, start=late, end=span.end - timedelta(minutes=1)),
    ]
    ledger.parents.add(parents)
    seen = []
    result = await asyncio.to_thread(execute, settings, ledger, on_progress=seen.append)
    assert states(ledger, span.session) == [ParentState.FILLED] * 3
    assert not result.denied
    assert not result.is_resumed
    assert [p.done_shares for p in seen] == sorted(p.done_shares for p in seen)
    assert (seen[-1].done_shares, seen[-1].all_shares) == (133, 133)
    assert ledger.check() == []
    found = reconcile(ledger, await evidence_of(gateway))
    assert found.agrees, found.summary
    assert found.unknown_commissions == 0
    report = day_report(ledger, result.account, span.session)
    assert {row.filled for row in report.parents} == {91, 2, 40}
    assert all(row.arrival_price and row.shortfall for row in report.parents)
    assert report.equity_before is not None
    assert report.equity_after is not None
    sent = [c for p in parents for c in ledger.children.of_parent(p.parent_id)]
    assert all(ledger.children.get(c.order_ref).client_id == settings.client_id for c in sent)
    starts = {f.order_ref: f.at for f in ledger.executions.fills_of(parents[2].parent_id)}
    assert min(starts.values()) >= late, "no parent starts with another's slices"


def test_a_session_that_is_done_is_skipped_and_changes_nothing(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway, 10)
    ledger.parents.add([make_parent(span, quantity=6)])
    execute(settings, ledger)
    before = fills(ledger, span.session)
    with pytest.raises(SkipToday, match="every parent has ended"):
        execute(settings, ledger, session=span.session)
    assert fills(ledger, span.session) == before


def test_an_account_with_holdings_is_opened_with_them(
    gateway, settings, ledger, open_ledger, make_span, make_parent, execute, tmp_path
):
    """The ledger is new, the account is not: what it holds is its opening balance."""
    earlier = gateway.client(tmp_path / "earlier")
    before = open_ledger(earlier)
    span = make_span(gateway, 10)
    before.parents.add([make_parent(span, "KO", quantity=6)])
    execute(earlier, before)
    span = make_span(gateway, 10)
    parent = make_parent(span, "KO", quantity=6)
    ledger.parents.add([parent])
    result = execute(settings, ledger)
    opening = ledger.accounts.opening(result.account)
    assert opening.positions["KO"] >= 6
    held = ledger.executions.positions(result.account)
    assert held["KO"] == opening.positions["KO"] + 6


def test_sells_go_before_buys_and_pay_for_them(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway, 10)
    bought = make_parent(span, "KO", quantity=30, parent_id="setup-KO")
    ledger.parents.add([bought])
    execute(settings, ledger)
    span = make_span(gateway, 10)
    ledger.parents.add(
        [
            make_parent(span, "AAPL", quantity=3),
            make_parent(span, "KO", quantity=30, side=Side.SELL),
        ]
    )
    execute(settings, ledger)
    order = [fill.side for fill in fills_of(ledger, span.session)]
    first_children = [
        ledger.children.of_parent(r.order.parent_id)[0]
        for r in ledger.parents.of_session(span.session)
        if r.order.parent_id != "setup-KO"
    ]
    sell = next(c for c in first_children if c.side is Side.SELL)
    buy = next(c for c in first_children if c.side is Side.BUY)
    assert sell.order_id < buy.order_id
    assert Side.SELL in order


def test_a_stopped_session_goes_on_where_it_was(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway)
    ledger.parents.add([make_parent(span, "KO", quantity=60), make_parent(span, "JPM")])
    stop = threading.Event()

    def after_the_first_slice(progress):
        if progress.done_shares:
            stop.set()

    with pytest.raises(RetryLater, match="run `robo execute` again"):
        execute(settings, ledger, stop=stop, on_progress=after_the_first_slice)
    partly = fills(ledger, span.session)
    assert 0 < sum(f[2] for f in partly) < 150
    assert ledger.leases.held(span.start) == (), "the lease was given back"
    result = execute(settings, ledger)
    assert result.is_resumed
    assert states(ledger, span.session) == [ParentState.FILLED] * 2
    assert sum(f[2] for f in fills(ledger, span.session)) == 150
    assert fills(ledger, span.session)[: len(partly)] == partly


def test_a_halt_stops_the_session_and_a_resume_lets_it_go_on(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway)
    ledger.parents.add([make_parent(span, "KO", quantity=60)])

    def halt(progress):
        if progress.done_shares and ledger.halts.current() is None:
            ledger.halts.halt("test", "tester", progress.at)

    with pytest.raises(HaltTrading, match="halted by tester.*robo resume"):
        execute(settings, ledger, on_progress=halt)
    sent = len(
        ledger.children.of_parent(ledger.parents.of_session(span.session)[0].order.parent_id)
    )
    with pytest.raises(HaltTrading):
        execute(settings, ledger)
    again = ledger.children.of_parent(ledger.parents.of_session(span.session)[0].order.parent_id)
    assert len(again) == sent, "nothing was sent while halted"
    ledger.halts.resume("looked at", "tester", span.start)
    execute(settings, ledger)
    assert states(ledger, span.session) == [ParentState.FILLED]


def test_an_arming_that_expires_stops_a_live_session(
    gateway, settings, ledger, make_span, make_parent, execute, monkeypatch
):
    """The account is simulated and passes as live here: only the arming's end is at stake."""
    until = datetime.now(UTC) + timedelta(hours=1)
    live = settings.model_copy(
        update={
            "mode": "live",
            "allow_live_account": "SIM0000001",
            "live_armed_until": until,
        }
    )
    live = live.model_copy(update={"live_config": live_fingerprint(live)})
    monkeypatch.setattr("tasks.interlock.SIMULATED_PREFIX", "NONE")
    span = make_span(gateway)
    parent = make_parent(span, "KO", quantity=60)
    ledger.parents.add([parent])

    def expire(progress):
        if progress.done_shares:
            live.__dict__["live_armed_until"] = datetime.now(UTC)

    with pytest.raises(HaltTrading, match="ROBO_LIVE_ARMED_UNTIL expired"):
        execute(live, ledger, on_progress=expire)
    assert [c.slice_no for c in ledger.children.of_parent(parent.parent_id)] == [1]


def test_what_a_limit_denies_is_told_once_a_slice_and_never_sent(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway)
    parent = make_parent(span, "KO", quantity=60)
    ledger.parents.add([parent])
    nothing = RiskLimits(restricted=frozenset({"KO"}))
    result = execute(settings, ledger, limits=nothing)
    assert ledger.children.of_parent(parent.parent_id) == ()
    record = ledger.parents.get(parent.parent_id)
    assert record.state is ParentState.EXPIRED
    assert "filled 0 of 60 shares" in record.reason
    assert set(result.denied) == {f"{parent.parent_id}.{n}.1" for n in (1, 2, 3)}
    failed = [v for v in ledger.parents.verdicts(parent.parent_id) if not v.passed]
    assert [v.check for v in failed] == ["restricted"] * 3


def test_an_order_that_the_account_cannot_pay_is_denied_before_it_is_sent(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway, 10)
    parent = make_parent(span, "LLY", quantity=90_000)
    ledger.parents.add([parent])
    result = execute(settings, ledger)
    assert ledger.children.of_parent(parent.parent_id) == ()
    assert ledger.parents.get(parent.parent_id).state is ParentState.EXPIRED
    denied = result.denied[f"{parent.parent_id}.1.1"]
    assert "notional: child of" in denied
    assert "gross: worst-case gross exposure" in denied


def test_an_order_that_the_broker_finds_too_dear_is_rejected_with_its_words(
    start_gateway, open_ledger, make_span, make_parent, execute
):
    """Our own limits here allow to borrow three times the account; the broker's margin does not."""
    own = start_gateway("cash")
    ledger = open_ledger(own.settings)
    span = make_span(own, 10)
    lenient = RiskLimits(
        max_position_weight=1.0,
        max_gross_exposure=4.0,
        max_net_exposure=4.0,
        max_order_notional=1e6,
    )
    parents = [
        make_parent(span, symbol, quantity=int(90_000 / asyncio.run(close_of(own, symbol))))
        for symbol in ("AAPL", "KO", "LLY")
    ]
    ledger.parents.add(parents)
    execute(own.settings.model_copy(update={"slices": 1}), ledger, limits=lenient)
    children = [c for p in parents for c in ledger.children.of_parent(p.parent_id)]
    rejected = [child for child in children if child.state is ChildState.REJECTED]
    assert rejected
    record = ledger.parents.get(rejected[0].parent_id)
    assert record.state is ParentState.EXPIRED
    assert "last rejection: 201" in record.reason


async def close_of(gateway, symbol):
    async with gateway.data(31) as link:
        bars = await link.daily_bars(symbol, None, exchange_date(gateway.now))
        return float(bars["close"].iloc[-1])


def test_a_full_book_is_rebalanced_in_one_session_without_borrowing(
    start_gateway, open_ledger, make_span, make_parent, execute
):
    """95 % invested; half of it moves to another name: each step's buys wait for its sells."""
    # Slower than usual: what the session takes to react costs less market time.
    own = start_gateway("full", gateway_speed=600.0)
    ledger = open_ledger(own.settings)
    whole = RiskLimits(max_position_weight=1.0, max_order_notional=1e6)
    span = make_span(own, 10)
    ko = int(95_000 / asyncio.run(close_of(own, "KO")))
    pep = int(47_000 / asyncio.run(close_of(own, "PEP")))
    ledger.parents.add([make_parent(span, "KO", quantity=ko)])
    execute(own.settings, ledger, limits=whole)
    span = make_span(own, 30)
    parents = [
        make_parent(span, "KO", Side.SELL, quantity=ko // 2),
        make_parent(span, "PEP", quantity=pep),
    ]
    ledger.parents.add(parents)
    result = execute(own.settings, ledger, limits=whole)
    assert {ledger.parents.get(p.parent_id).state for p in parents} == {ParentState.FILLED}
    assert result.denied == {}, "what waited for the sells went after them"
    waited = [v for v in ledger.parents.verdicts(parents[1].parent_id) if not v.passed]
    assert {v.check for v in waited} == {"gross", "net"}
    assert ledger.executions.cash(result.account).amount > 0


@pytest.mark.parametrize(
    ("session", "plan", "words"),
    [
        (date(2023, 1, 2), False, "market closed: 2023-01-02 is no session"),
        (None, False, "no plan; run `robo rebalance`"),
        ("far", True, "longer than the 0 minutes this run may wait"),
    ],
)
def test_where_there_is_nothing_to_do_it_says_so(
    gateway, settings, ledger, make_span, make_parent, execute, session, plan, words
):
    span = make_span(gateway)
    wait = 600.0
    if session == "far":
        day = next_session(next_session(span.session).date)
        session, wait = day.date, 0.5
        later = type(span)(day.date, day.open, day.close)
        ledger.parents.add([make_parent(later)])
    with pytest.raises(SkipToday, match=words):
        execute(settings, ledger, session=session, longest_wait=wait)
    assert ledger.accounts.latest_account() is None, "it did not even connect"


def test_a_second_session_is_told_who_holds_the_lease(gateway, settings, ledger, execute):
    ledger.leases.acquire(
        "trading-simulated",
        "another session",
        pid=1,
        host="elsewhere",
        ttl=60,
        now=datetime.now(UTC),
    )
    with pytest.raises(SkipToday, match="held by another session"):
        execute(settings, ledger)


def test_a_position_that_nobody_ordered_blocks_its_symbol_before_anything_is_sent(
    start_gateway, open_ledger, make_span, make_parent, execute
):
    own = start_gateway("nobody")
    ledger = open_ledger(own.settings)
    span = make_span(own, 10)
    parents = {symbol: make_parent(span, symbol, quantity=6) for symbol in ("KO", "XOM")}
    ledger.parents.add(list(parents.values()))
    opened = span.start - timedelta(days=9)
    ledger.accounts.record_opening("SIM0000001", Decimal(100_000), {"XOM": 5}, opened)
    result = execute(own.settings, ledger)
    assert ledger.children.of_parent(parents["XOM"].parent_id) == ()
    assert ledger.parents.get(parents["KO"].parent_id).state is ParentState.FILLED
    assert "XOM is blocked: D1, position mismatch" in "".join(result.denied.values())
    alerts = (own.settings.state_dir / "alerts.jsonl").read_text()
    assert alerts.count("position mismatch XOM: ledger 5 shares, broker 0 shares") == 1


def test_a_half_day_is_worked_until_its_early_close(
    start_gateway, open_ledger, make_parent, execute
):
    own = start_gateway("half", "--start", "2023-07-03")
    ledger = open_ledger(own.settings)
    day = session_on(date(2023, 7, 3))
    assert day.is_half_day
    span = type("Span", (), {"session": day.date, "start": day.open, "end": day.close})()
    ledger.parents.add([make_parent(span, "KO", quantity=30, parent_id="half")])
    result = execute(own.settings, ledger)
    assert states(ledger, day.date) == [ParentState.FILLED]
    slices = {child.order_ref for child in ledger.children.of_parent("half")}
    begun = {
        ref: min(f.at for f in fills_of(ledger, day.date) if f.order_ref == ref) for ref in slices
    }
    third = (day.close - day.open) / 3
    for number, ref in enumerate(sorted(slices)):
        assert timedelta(0) <= begun[ref] - (day.open + number * third) < timedelta(seconds=5)
    assert result.ended_at < day.close
