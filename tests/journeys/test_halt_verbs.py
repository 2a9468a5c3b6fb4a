"""`robo halt`, `resume` and a signal, against a session at work in another process."""

import json
import os
import signal

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.timeout(400)]

SPEED = 2400
IN_THE_MIDDLE = "step 2 of"


def filled(home):
    return sum(n for (n,) in home.ledger("SELECT quantity FROM executions"))


@pytest.mark.lasts(12)
def test_a_signal_halts_then_flatten_then_resume(home):
    home.plan()
    home.start_gateway(SPEED)
    session = home.start("execute")
    session.wait_for(IN_THE_MIDDLE)
    os.kill(session.pid, signal.SIGUSR1)
    assert session.wait() == 3
    assert "halted by a signal" in session.text
    assert home.ledger("SELECT code, halted_by FROM halts") == [("SIGNAL", "a signal")]
    bought = filled(home)
    assert bought > 0

    text = home.robo("halt", "--flatten", "--reason", "get out", code=2)
    assert "halted: get out" in text
    assert "nothing was closed; the halt stands" in text
    assert filled(home) == bought

    answer = home.robo("halt", "--flatten", "--yes", "--reason", "get out", "--json")
    told = json.loads(answer.splitlines()[-1])
    assert (told["halt"]["trouble"], told["flatten"]["left"]) == ("", {})
    assert sum(told["flatten"]["closed"].values()) == bought
    assert json.loads(home.robo("status", "--json"))["positions"] == {}

    home.robo("resume", code=2)
    assert "resumed: broker and ledger agree" in home.robo("resume", "--reason", "flat now")
    assert home.ledger("SELECT count(*) FROM halts WHERE resumed_at IS NULL") == [(0,)]
    assert "nothing left to execute" in home.robo("execute")
    assert filled(home) == 2 * bought, "the day's plan ended with the flatten"


def test_no_gateway_is_said_with_its_exit_code(home):
    text = home.robo("halt", "--reason", "to be sure", code=1)
    assert "halt incomplete: working orders could NOT be cancelled: no gateway answers" in text
    assert home.ledger("SELECT reason FROM halts") == [("to be sure",)]
    text = home.robo("resume", "--reason", "never mind", code=3)
    assert "not resumed, no reconciliation passed" in text
    assert "no simulated gateway answers" in text
    assert home.ledger("SELECT count(*) FROM halts WHERE resumed_at IS NULL") == [(1,)]


@pytest.mark.lasts(25)
def test_prefect_gone_in_the_middle_changes_no_order(new_home, prefect_of):
    """The server is killed and does not come back: the session ends its schedule all the same."""
    server, url = prefect_of()
    home = new_home(PREFECT_API_URL=url, PREFECT_CLIENT_MAX_RETRIES="1")
    home.plan()
    home.start_gateway(SPEED)
    session = home.start("execute")
    session.wait_for(IN_THE_MIDDLE)
    server.end()
    assert session.wait() == 0
    assert "done, but Prefect's API" in session.text
    assert set(home.ledger("SELECT released FROM leases")) == {(1,)}
    assert set(home.ledger("SELECT state FROM parents")) == {("FILLED",)}
    assert "halted: no Prefect here" in home.robo("halt", "--reason", "no Prefect here")
