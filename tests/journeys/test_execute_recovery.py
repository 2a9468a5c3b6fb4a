"""Sessions that lose their gateway, their process or their patience: no share is bought twice."""

import json
import signal
from collections import Counter

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(400)]

SPEED = 2400  # market seconds a second: the session takes some 10 s, so that it can be hit inside
IN_THE_MIDDLE = " 2 of "  # the second step of the schedule


def assert_no_share_bought_twice(home, *, done):
    """Broker and ledger hold the same executions, and none beyond its order."""
    at_broker = home.broker_executions()
    assert at_broker
    in_ledger = home.ledger("SELECT exec_id, order_ref, quantity FROM executions")
    assert {exec_id: (ref, shares) for exec_id, ref, shares in in_ledger} == at_broker
    by_ref, by_parent = Counter(), Counter()
    for ref, shares in at_broker.values():
        by_ref[ref] += shares
        by_parent[ref.rsplit(".", 2)[0]] += shares
    children = dict(home.ledger("SELECT order_ref, quantity FROM children"))
    assert all(shares <= children[ref] for ref, shares in by_ref.items())
    ordered = dict(home.ledger("SELECT parent_id, quantity FROM parents"))
    assert all(shares <= ordered[parent] for parent, shares in by_parent.items())
    if done:
        assert by_parent == ordered
        assert set(home.ledger("SELECT state FROM parents")) == {("FILLED",)}


def filled_shares(home):
    return sum(n for (n,) in home.ledger("SELECT quantity FROM executions"))


def finish_and_reconcile(home):
    """Run the session again to its end, then compare with the broker."""
    home.robo("execute")
    assert "broker and ledger agree" in home.robo("reconcile")
    assert_no_share_bought_twice(home, done=True)


def test_gateway_killed_and_restarted_while_execute_waits(home):
    home.plan()
    gateway = home.start_gateway(SPEED)
    session = home.start("execute")
    session.wait_for(IN_THE_MIDDLE)
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    home.start_gateway(3600)
    code = session.wait()
    assert code in (0, 1), session.text
    if code == 1:
        assert "run `robo execute` again" in session.text
    finish_and_reconcile(home) if code else assert_done(home)


def assert_done(home):
    assert "broker and ledger agree" in home.robo("reconcile")
    assert_no_share_bought_twice(home, done=True)


@pytest.mark.lasts(12)
def test_gateway_killed_and_the_operator_gives_up(home):
    home.plan()
    gateway = home.start_gateway(SPEED)
    session = home.start("execute")
    session.wait_for(IN_THE_MIDDLE)
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    session.wait_for("trying again")
    session.signal(signal.SIGINT)
    assert session.wait() == 1
    assert "run the same command again" in session.text
    assert 0 < filled_shares(home)
    home.start_gateway(3600)
    finish_and_reconcile(home)


@pytest.mark.lasts(15)
def test_execute_killed_and_run_again(home):
    home.plan()
    home.start_gateway(SPEED)
    session = home.start("execute")
    session.wait_for(IN_THE_MIDDLE)
    session.signal(signal.SIGKILL)
    session.wait()
    before = filled_shares(home)
    assert 0 < before < sum(n for (n,) in home.ledger("SELECT quantity FROM parents"))
    finish_and_reconcile(home)
    assert "nothing left to execute" in home.robo("execute")


@pytest.mark.lasts(25)
def test_two_sessions_at_once(home):
    home.fork = None  # as a trader's shell starts them
    home.plan()
    home.start_gateway(SPEED / 3)  # the second has all that time to start
    first = home.start("execute")
    first.wait_for(" 1 of ")
    second = home.robo("execute")
    assert str(first.pid) in second
    assert first.wait() == 0
    assert home.ledger("SELECT count(*) FROM children WHERE attempt > 1") == [(0,)]
    assert_done(home)


@pytest.mark.lasts(15)
def test_halt_stops_a_session_until_resume(home):
    home.plan()
    home.start_gateway(SPEED)
    session = home.start("execute")
    session.wait_for(IN_THE_MIDDLE)
    answer = json.loads(home.robo("halt", "--reason", "a fat finger", "--json").splitlines()[-1])
    assert (answer["still_working"], answer["trouble"]) == (0, "")
    assert session.wait() == 3
    assert "a fat finger" in session.text
    at_halt = filled_shares(home)
    status = json.loads(home.robo("status", "--json"))
    assert "a fat finger" in status["halt"]
    assert "HALTED" in home.robo("status")
    assert "a fat finger" in home.robo("execute", code=3)
    assert filled_shares(home) == at_halt
    home.robo("resume", "--reason", "it was a test")
    assert json.loads(home.robo("status", "--json"))["halt"] == ""
    finish_and_reconcile(home)
