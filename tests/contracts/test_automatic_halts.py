"""Sessions that stop themselves, on a real gateway with its faults; a person lets them go on."""

import asyncio
import json
import time
from threading import Thread

import pytest

from models.domain.errors import AutomaticHalt, HaltTrading
from models.domain.halts import HaltCode
from models.domain.orders import ParentState
from models.risk.halt_limits import HaltLimits
from models.risk.limits import RiskLimits
from tasks.books.account_snapshot import read_account
from tasks.halts.resuming import resume_trading
from tasks.limits import load_limits
from warehouse.ledger.working_versions import WorkingVersion

pytestmark = pytest.mark.journey


def limits(halts=None, **fields):
    return RiskLimits(max_order_quantity=100_000, halts=halts or HaltLimits(), **fields)


def require_halted(settings, ledger, code):
    """The halt is in the ledger and in the alerts, nothing works, and nothing goes on by itself."""
    halt = ledger.halts.current()
    assert (halt.code, halt.by) == (code, "the session")
    lines = (settings.state_dir / "alerts.jsonl").read_text().splitlines()
    subjects = [json.loads(line)["subject"] for line in lines]
    assert subjects.count(f"trading halted: {code}") == 1
    assert read_account(settings).open_orders == ()


def goes_on_after_a_resume(settings, ledger, execute, span, **fields):
    with pytest.raises(HaltTrading, match="trading was halted by the session"):
        execute(settings, ledger, **fields)
    assert resume_trading(settings, ledger, "the fault is gone", "tester").resumed
    execute(settings, ledger, **fields)
    assert {r.state for r in ledger.parents.of_session(span.session)} == {ParentState.FILLED}


def leave_working(gateway, make_child):
    """Leave an order of the session's own client working that no slice will end."""

    async def work():
        async with gateway.orders(11) as link:
            await link.qualify(["PEP"])
            link.send(make_child(link.next_order_id(), "1.00", tif="GTC", symbol="PEP"))
            await link.flush()

    asyncio.run(work())


def test_repeated_rejects(gateway, settings, ledger, make_span, make_parent, execute):
    span = make_span(gateway)
    ledger.parents.add([make_parent(span, symbol) for symbol in ("KO", "PEP", "XOM")])
    gateway.ask("fault", fault="reject-order", params={"count": 2})
    tight = limits(HaltLimits(max_rejects=1))
    with pytest.raises(AutomaticHalt, match="2 orders were refused by the broker within 600 s"):
        execute(settings, ledger, limits=tight)
    require_halted(settings, ledger, HaltCode.REJECTS)
    gateway.ask("clear-faults")
    with pytest.raises(HaltTrading, match="trading was halted by the session"):
        execute(settings, ledger, limits=tight)


def test_no_quotes(gateway, settings, ledger, make_span, make_parent, execute):
    span = make_span(gateway, minutes=60)
    ledger.parents.add([make_parent(span, "KO", quantity=60)])

    def lose_quotes(progress):
        if progress.done_shares:
            gateway.ask("fault", fault="competing-session", params={"seconds": 0})

    with pytest.raises(AutomaticHalt, match="seconds of the session went by without any quote"):
        execute(settings, ledger, limits=limits(), on_progress=lose_quotes)
    gateway.ask("clear-faults")
    require_halted(settings, ledger, HaltCode.QUOTE_AGE)
    goes_on_after_a_resume(settings, ledger, execute, span, limits=limits())


def test_a_loop_that_wants_too_much(
    gateway, settings, ledger, make_span, make_parent, execute, monkeypatch
):
    """The schedule goes mad: it asks for its slice again and again, and is denied each time."""
    from tasks.session.orders import OrderDesk

    real = OrderDesk.slice_due

    def mad(self, now):
        answers = [real(self, now) for _ in range(40)]
        return any(answers)

    span = make_span(gateway)
    ledger.parents.add([make_parent(span, "KO", quantity=60)])
    strict = RiskLimits(max_order_notional=100.0, halts=HaltLimits(max_order_attempts=30))
    with monkeypatch.context() as patch:
        patch.setattr(OrderDesk, "slice_due", mad)
        with pytest.raises(AutomaticHalt, match="child orders were wanted within a minute"):
            execute(settings, ledger, limits=strict)
    require_halted(settings, ledger, HaltCode.ORDER_RATE)
    assert ledger.children.open_children("SIM0000001") == ()


@pytest.mark.parametrize(
    ("code", "field", "text"),
    [
        (HaltCode.DAILY_LOSS, "max_daily_loss", "equity were lost today"),
        (HaltCode.DRAWDOWN, "max_drawdown", "lost from the highest equity"),
    ],
)
def test_losses(gateway, settings, ledger, make_span, make_parent, execute, code, field, text):
    """The account was worth far more this morning: the broker's own figure says so."""
    span = make_span(gateway)
    ledger.parents.add([make_parent(span, "KO", quantity=60)])
    seen = read_account(settings)
    before = f"{span.session} before" if code is HaltCode.DAILY_LOSS else "long ago"
    worth = seen.net_liquidation * 2
    ledger.accounts.record_snapshot(seen.account, seen.at, seen.cash, worth, before)
    wide = {"max_daily_loss": 0.5, "max_drawdown": 0.9} | {field: 0.2}
    with pytest.raises(AutomaticHalt, match=text):
        execute(settings, ledger, limits=limits(**wide))
    require_halted(settings, ledger, code)
    assert ledger.executions.fills_of_account(seen.account) == ()


def test_a_position_that_differs_keeps_its_symbol_out_and_no_other(
    gateway, settings, ledger, make_span, make_parent, execute
):
    """A trade by hand while nobody looked: that symbol waits for a person, the rest trades on."""
    seen = read_account(settings)
    odd = dict(seen.positions) | {"WMT": seen.positions.get("WMT", 0) + 7}
    ledger.accounts.record_opening(seen.account, seen.cash, odd, seen.at, seen.fills)
    span = make_span(gateway)
    wanted = [make_parent(span, "KO", quantity=60), make_parent(span, "WMT", quantity=10)]
    ledger.parents.add(wanted)
    denied = execute(settings, ledger).denied
    assert denied
    assert all("WMT" in ref and "blocked" in text for ref, text in denied.items())
    ko, wmt = (ledger.parents.get(order.parent_id).state for order in wanted)
    assert (ko, wmt) == (ParentState.FILLED, ParentState.EXPIRED)
    assert ledger.halts.current() is None


def test_an_order_under_a_name_of_ours_that_nobody_committed(
    gateway, settings, ledger, make_span, make_parent, execute, make_child
):
    """Something else speaks in this system's name: nothing is sent until a person has looked."""
    span = make_span(gateway)
    first = make_parent(span, "KO", quantity=60)
    ledger.parents.add([first])
    execute(settings, ledger)
    stray = {"symbol": "KO", "action": "BUY", "quantity": 5, "type": "LMT", "limit": 1}
    gateway.ask("order", order_ref=f"{first.parent_id}.9.1", tif="GTC", **stray)
    span = make_span(gateway)
    second = make_parent(span, "PEP", quantity=60)
    ledger.parents.add([second])
    leave_working(gateway, make_child)
    with pytest.raises(AutomaticHalt, match="unknown order"):
        execute(settings, ledger)
    left = [order.client_id for order in read_account(settings).open_orders]
    assert left == [0], "what this client has at work is ended, the stray is a person's"
    assert ledger.halts.current().code == HaltCode.RECONCILIATION
    assert ledger.children.of_parent(second.parent_id) == ()
    with pytest.raises(HaltTrading, match="not resumed.*unknown order"):
        resume_trading(settings, ledger, "looks fine to me", "tester")


def test_a_lost_heartbeat(start_gateway, open_ledger, make_span, make_parent, execute, make_child):
    """The socket stays open and nothing comes any more; a new connection hears nothing either.

    What works at the broker is ended once the gateway answers again, after the halt.
    """
    own = start_gateway(broker_timeout=1.0)
    ledger = open_ledger(own.settings)
    span = make_span(own)
    ledger.parents.add([make_parent(span, "KO", quantity=60)])
    lost = []

    def fall_silent(progress):
        if progress.done_shares and not lost:
            silence = {"ms": 60_000, "jitter": 0}
            lost.append(own.ask("fault", fault="slow-responses", params=silence))

    alerts = own.settings.state_dir / "alerts.jsonl"

    def speak_again_after_the_halt():
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.1)
            if alerts.exists() and "trading halted" in alerts.read_text():
                own.ask("clear-faults")
                return

    leave_working(own, make_child)
    Thread(target=speak_again_after_the_halt).start()
    tight = limits(HaltLimits(max_heartbeat_loss=1.0))
    with pytest.raises(AutomaticHalt, match="seconds went by without an answer of the gateway"):
        execute(own.settings, ledger, limits=tight, on_progress=fall_silent)
    require_halted(own.settings, ledger, HaltCode.HEARTBEAT)
    assert ledger.leases.unreleased("trading-simulated") is None
    goes_on_after_a_resume(own.settings, ledger, execute, span, limits=tight)


def test_one_symbol_is_halted_and_the_others_go_on(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway)
    halted, free = make_parent(span, "KO", quantity=60), make_parent(span, "PEP", quantity=60)
    ledger.parents.add([halted, free])
    ledger.halts.halt("odd prints", "tester", gateway.now, symbol="KO")
    result = execute(settings, ledger)
    assert ledger.parents.get(free.parent_id).state is ParentState.FILLED
    assert ledger.children.of_parent(halted.parent_id) == ()
    assert all("odd prints" in why for why in result.denied.values())
    assert result.denied


def test_other_code_does_not_go_on_with_orders_that_it_did_not_begin(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway)
    ledger.parents.add([make_parent(span, "KO", quantity=60)])
    ledger.versions.note(span.session, WorkingVersion("0ld", "0ld"), gateway.now)
    with pytest.raises(HaltTrading, match="were begun by code 0ld, limits 0ld, and this is code"):
        execute(settings, ledger, limits=load_limits(settings.limits_path))
    assert ledger.children.open_children("SIM0000001") == ()
    assert ledger.halts.history() == (), "the right version may go on at once"
    assert resume_trading(settings, ledger, "an upgrade, tested", "tester").resumed
    execute(settings, ledger, limits=load_limits(settings.limits_path))
    assert {r.state for r in ledger.parents.of_session(span.session)} == {ParentState.FILLED}
