"""The kill switch against a real gateway: what works ends, what is new is refused."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from models.domain.errors import HaltTrading, InvalidInput
from models.domain.orders import ParentState
from tasks.books.account_snapshot import read_account
from tasks.broker.ibkr import OrderConnection
from tasks.broker.protocol import GatewayUnreachable
from tasks.broker.quick_cancel import cancel_all
from tasks.broker.roles import Role, address
from tasks.halts import halting, resuming
from tasks.halts.halting import HaltOrder, halt_trading
from tasks.halts.resuming import resume_trading
from tasks.interlock import require_right_account
from tasks.leases.session_lease import SessionLease
from tasks.processes import free_port

pytestmark = pytest.mark.journey

ENOUGH = HaltOrder("enough", "tester")


def place(gateway, make_child, *client_ids, symbol="KO", **fields):
    """Leave one working order of each client behind."""

    async def work():
        for client_id in client_ids:
            async with gateway.orders(client_id) as link:
                await link.qualify([symbol])
                order_id = link.next_order_id()
                link.send(make_child(order_id, "1.00", tif="GTC", symbol=symbol, **fields))
                await link.flush()

    asyncio.run(work())


def tidy(settings):
    """Leave no working order to the next test."""
    done = halt_trading(settings, HaltOrder("tidy", "tester"))
    assert (done.still_working, done.trouble) == (0, "")


def test_a_halt_cancels_the_orders_of_every_client(gateway, settings, ledger, make_child):
    place(gateway, make_child, 11, 51)
    assert len(read_account(settings).open_orders) == 2
    done = halt_trading(settings, ENOUGH)
    assert (done.cancelled, done.still_working, done.trouble) == (2, 0, "")
    assert read_account(settings).open_orders == ()
    halt = ledger.halts.current()
    assert (halt.reason, halt.by) == ("enough", "tester")
    again = halt_trading(settings, HaltOrder("once more", "tester"))
    assert (again.cancelled, again.trouble) == (0, "")
    lifted = resume_trading(settings, ledger, "looked at", "tester")
    assert lifted.resumed
    assert "broker and ledger agree" in lifted.reconciliation
    assert ledger.halts.current() is None
    assert not resume_trading(settings, ledger, "again", "tester").resumed


def test_the_first_words_alone_cancel_and_count(gateway, settings, make_child):
    place(gateway, make_child, 11, 51)
    accounts, sent = [], []
    there = address(settings, Role.HALT)
    assert cancel_all(there, 5.0, accounts.append, lambda: sent.append(True)) == 2
    assert (accounts, sent) == ([read_account(settings).account], [True])
    assert read_account(settings).open_orders == ()


@pytest.mark.parametrize("symbol", ["", "KO"])
def test_a_halt_takes_another_client_id_when_its_own_is_held(
    gateway, settings, ledger, make_child, symbol, monkeypatch
):
    place(gateway, make_child, 11)
    monkeypatch.setattr(halting, "CANCEL_DEADLINE", 0.5)  # the client that placed it does not read
    taken = [address(settings, Role.HALT, turn).client_id for turn in (0, 1)]

    async def halt_beside_them():
        holding = settings.client_id
        async with (
            gateway.orders(taken[0]),
            gateway.orders(taken[1]),
            gateway.orders(holding if symbol else taken[1] + 6),
        ):
            return await asyncio.to_thread(
                halt_trading, settings, HaltOrder("enough", "tester", symbol=symbol)
            )

    done = asyncio.run(halt_beside_them())
    assert done.trouble == ""
    assert (done.cancelled, done.still_working) == ((0, 1) if symbol else (1, 0))
    tidy(settings)


def test_the_cancels_do_not_wait_for_a_ledger_that_is_locked(gateway, settings, ledger, make_child):
    place(gateway, make_child, 11)
    brief = settings.model_copy(update={"lock_deadline": 1.0})
    with ledger.transaction():
        done = halt_trading(brief, ENOUGH)
    assert (done.cancelled, done.still_working) == (1, 0)
    assert done.blocked_after is None
    assert done.cancelled_after is not None
    assert "the halt could NOT be recorded" in done.trouble


def test_a_halt_of_one_symbol_leaves_the_others_and_the_trades_by_hand(
    gateway, settings, ledger, make_child
):
    place(gateway, make_child, 11, 51)
    place(gateway, make_child, 11, symbol="PEP")
    place(gateway, make_child, 11, parent_id="20221229-exit-KO-1")  # what protects a position
    done = halt_trading(settings, HaltOrder("odd prints", "tester", symbol="KO"))
    assert (done.cancelled, done.still_working, done.trouble) == (1, 0, "")
    left = {(o.symbol, o.client_id) for o in read_account(settings).open_orders}
    assert left == {("KO", 51), ("PEP", 11), ("KO", 11)}
    [resting] = [o for o in read_account(settings).open_orders if o.order_ref.count("-exit-KO-")]
    assert resting.client_id == 11
    assert ledger.halts.current() is None
    assert ledger.halts.current("KO").reason == "odd prints"
    assert resume_trading(settings, ledger, "seen", "tester", "KO").resumed
    tidy(settings)


def test_a_resume_lifts_nothing_that_came_while_it_looked(
    settings, ledger, gateway, make_span, make_parent, monkeypatch
):
    """A second person stops trading while the first one's resume reconciles."""
    span = make_span(gateway)
    order = make_parent(span, "XOM")
    ledger.parents.add([order])
    ledger.parents.set_state(order.parent_id, ParentState.PAUSED, "for a look")
    ledger.halts.halt("news, hands off", "tester", datetime.now(UTC), symbol="KO")
    ledger.halts.halt("no quotes", "the session", datetime.now(UTC))
    real = resuming._reconciled

    def slow(settings, ledger, boundary):
        found = real(settings, ledger, boundary)
        assert halt_trading(settings, HaltOrder("STOP", "person two")).trouble == ""
        return found

    with monkeypatch.context() as patch:
        patch.setattr(resuming, "_reconciled", slow)
        with pytest.raises(HaltTrading, match=r"halted again meanwhile .*person two.*STOP"):
            resume_trading(settings, ledger, "quotes are back", "person one")
    assert len(ledger.halts.in_force()) == 3
    assert ledger.parents.get(order.parent_id).state is ParentState.PAUSED
    done = resume_trading(settings, ledger, "talked to person two", "person one")
    assert [text.rpartition(": ")[2] for text in done.lifted] == ["no quotes", "STOP"]
    assert done.woken == (order.parent_id,)
    [still] = done.still_halted
    assert still.startswith("KO, by tester")
    assert ledger.halts.current() is None
    assert f"woke 1 parent orders: {order.parent_id}" in done.text
    assert "STILL HALTED: KO" in done.text
    again = resume_trading(settings, ledger, "once more", "person one")
    assert not again.resumed
    assert again.text.startswith("nothing was lifted\nSTILL HALTED: KO")


def test_an_order_that_nobody_committed_keeps_the_halt_of_its_symbol(
    gateway, settings, ledger, make_span, make_parent
):
    span = make_span(gateway)
    order = make_parent(span, "KO")
    ledger.parents.add([order])
    first_contact = read_account(settings)
    ledger.accounts.record_opening(
        first_contact.account, first_contact.cash, dict(first_contact.positions), gateway.now
    )
    stray = {"symbol": "KO", "action": "BUY", "quantity": 5, "type": "LMT", "limit": 1}
    gateway.ask("order", order_ref=f"{order.parent_id}.9.1", tif="GTC", **stray)
    for symbol in ("KO", "PEP"):
        ledger.halts.halt("odd prints", "tester", datetime.now(UTC), symbol=symbol)
    with pytest.raises(HaltTrading, match="not resumed, KO differs: unknown order.*cancel it"):
        resume_trading(settings, ledger, "seen", "tester", "KO")
    assert resume_trading(settings, ledger, "seen", "tester", "PEP").resumed
    assert [halt.symbol for halt in ledger.halts.in_force()] == ["KO"]
    tidy(settings)


def test_a_halt_holds_when_no_gateway_answers(settings, ledger):
    away = settings.model_copy(update={"port": free_port()})
    done = halt_trading(away, ENOUGH)
    assert "no gateway answers" in done.trouble
    assert ledger.halts.current().reason == "enough"


def test_a_halt_touches_no_account_of_another_mode(gateway, settings, ledger, make_child):
    place(gateway, make_child, 11)
    paper = settings.model_copy(update={"mode": "paper"})
    done = halt_trading(paper, ENOUGH)
    assert "mode paper needs an account DU" in done.trouble
    assert len(read_account(settings).open_orders) == 1
    tidy(settings)


def test_a_ledger_that_cannot_be_used_does_not_keep_the_orders_alive(
    gateway, settings, make_child, tmp_path
):
    place(gateway, make_child, 11)
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"this is no database" * 100)
    away = settings.model_copy(update={"ledger_url": SecretStr(f"sqlite:///{broken}")})
    done = halt_trading(away, ENOUGH)
    assert (done.cancelled, done.still_working) == (1, 0)
    assert "the halt could NOT be recorded" in done.trouble
    assert "not a usable SQLite file" in done.trouble
    assert read_account(settings).open_orders == ()


def test_a_halt_leaves_the_orders_of_an_account_of_another_mode_alone(
    gateway, settings, ledger, make_child
):
    place(gateway, make_child, 11)
    other = settings.model_copy(update={"mode": "paper"})
    done = halt_trading(other, ENOUGH)
    assert "could NOT be cancelled" in done.trouble
    assert "mode paper needs an account DU" in done.trouble
    assert len(read_account(settings).open_orders) == 1
    assert ledger.halts.current() is not None
    assert halt_trading(settings, ENOUGH).cancelled == 1


def test_a_live_account_whose_arming_has_expired_can_still_be_stopped(settings):
    live = {"mode": "live", "allow_live_account": "U1234567", "live_armed_until": None}
    expired = settings.model_copy(update=live)
    require_right_account(expired, "U1234567")
    with pytest.raises(HaltTrading, match="not in ROBO_ALLOW_LIVE_ACCOUNT"):
        require_right_account(expired, "U7654321")


def test_a_halt_whose_effect_cannot_be_read_says_that_it_was_sent(
    gateway, settings, ledger, make_child, monkeypatch
):
    place(gateway, make_child, 11)

    async def unreadable(_connection):
        raise GatewayUnreachable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(OrderConnection, "collect_evidence", unreadable)
        patch.setattr(halting, "PERSISTENCE", 0.0)
        done = halt_trading(settings, ENOUGH)
    assert done.trouble == (
        "every working order was asked to end, but what became of them is unread: no answer"
    )
    assert read_account(settings).open_orders == ()


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_resume_without_a_reason_is_refused(settings, ledger, reason):
    halt_trading(settings, ENOUGH)
    with pytest.raises(InvalidInput, match="needs a reason"):
        resume_trading(settings, ledger, reason, "tester")
    assert ledger.halts.current() is not None


def test_no_gateway_no_resume(settings, ledger):
    ledger.halts.halt("enough", "tester", datetime.now(UTC))
    away = settings.model_copy(update={"port": free_port()})
    with pytest.raises(HaltTrading, match="not resumed, no reconciliation passed.*no gateway"):
        resume_trading(away, ledger, "it is fine", "tester")
    assert ledger.halts.current() is not None


def test_a_difference_keeps_the_halt(settings, ledger):
    """Shares that nobody traded here, and no reconciliation of this morning helps."""
    seen = read_account(settings)
    odd = dict(seen.positions) | {"WMT": seen.positions.get("WMT", 0) + 7}
    ledger.accounts.record_opening(seen.account, seen.cash, odd, seen.at, seen.fills)
    halt_trading(settings, ENOUGH)
    with pytest.raises(HaltTrading, match="not resumed.*position mismatch WMT"):
        resume_trading(settings, ledger, "it is fine", "tester")
    assert ledger.halts.current() is not None


def test_a_session_at_work_is_no_time_to_resume(settings, ledger):
    ledger.halts.halt("enough", "tester", datetime.now(UTC))
    lease = SessionLease.take(ledger, settings)
    lease.held = ledger.leases.acquire(
        lease.held.name, "another", pid=1, host="elsewhere", ttl=60, now=later(3600)
    )
    with pytest.raises(HaltTrading, match="is held by another"):
        resume_trading(settings, ledger, "it is fine", "tester")
    assert ledger.halts.current() is not None


def later(seconds):
    return datetime.now(UTC) + timedelta(seconds=seconds)
