"""One session at a time: of two in a process, and of two containers that share a host name."""

import os
import socket
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.errors import RetryLater, SkipToday
from tasks.leases.session_lease import SessionLease
from tasks.machine import machine
from tasks.session.watching import lost_session
from tasks.stores import open_ledger

GONE = 2**22 + 1  # beyond every process id


@pytest.fixture
def ledger(settings):
    with open_ledger(settings) as opened:
        yield opened


def test_two_sessions_of_one_process_are_two(ledger, settings):
    first = SessionLease.take(ledger, settings)
    with pytest.raises(SkipToday, match=f"is held by session .* of robo .pid {os.getpid()} on"):
        SessionLease.take(ledger, settings)
    with pytest.raises(RetryLater, match="is held by"):
        SessionLease.take(ledger, settings, busy=RetryLater)
    first.confirm()
    first.release()
    second = SessionLease.take(ledger, settings)
    assert second.held.holder != first.held.holder
    with pytest.raises(RetryLater, match="has lost the lease"):
        first.confirm()
    second.release()


def test_a_process_of_another_container_is_not_judged_by_its_id(ledger, settings, monkeypatch):
    """The host names agree; there, the id is a session at work, here it is nobody's."""
    here = machine()
    monkeypatch.setattr("tasks.leases.session_lease.machine", lambda: f"{socket.gethostname()}/x")
    monkeypatch.setattr("os.getpid", lambda: GONE)
    theirs = SessionLease.take(ledger, settings)
    monkeypatch.undo()
    assert machine() == here != theirs.held.host
    with pytest.raises(SkipToday, match=f"pid {GONE} on {socket.gethostname()}/x"):
        SessionLease.take(ledger, settings)
    assert lost_session(ledger, settings) is None, "its orders are not ended under its feet"
    theirs.confirm()


def test_a_dead_session_of_this_machine_is_taken_over_at_once(ledger, settings, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: GONE)
    dead = SessionLease.take(ledger, settings)
    monkeypatch.undo()
    assert lost_session(ledger, settings).token == dead.held.token
    mine = SessionLease.take(ledger, settings)
    assert (mine.held.pid, mine.held.token) == (os.getpid(), dead.held.token + 1)
    assert mine.held.expires_at > datetime.now(UTC)


@pytest.mark.parametrize(("step", "renews"), [(-3600, True), (1, False), (11, True)])
def test_a_lease_is_renewed_in_time_and_when_the_clock_went_back(
    ledger, settings, monkeypatch, step, renews
):
    """An hour back, it would not be time for an hour; another machine's clock goes on."""
    lease = SessionLease.take(ledger, settings)
    before, moment = lease.held.expires_at, lease.renewed + timedelta(seconds=step)

    class Stepped(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment

    monkeypatch.setattr("tasks.leases.session_lease.datetime", Stepped)
    assert (lease.renew().expires_at != before) is renews
    (held,) = [one for one in ledger.leases.held(moment) if one.name == lease.held.name]
    assert held.expires_at == lease.held.expires_at


def test_the_mark_tells_boots_and_process_namespaces_apart(tmp_path, monkeypatch):
    boot, namespace = tmp_path / "boot_id", tmp_path / "pid"
    monkeypatch.setattr("tasks.machine._BOOT", boot)
    monkeypatch.setattr("tasks.machine._NAMESPACE", namespace)
    marks = [machine.__wrapped__()]
    assert marks == [socket.gethostname()], "without /proc"
    for told, number in (("a", "pid:[1]"), ("a", "pid:[2]"), ("b", "pid:[1]")):
        boot.write_text(f"{told}\n")
        namespace.unlink(missing_ok=True)
        namespace.symlink_to(number)
        marks.append(machine.__wrapped__())
    assert len(set(marks)) == 4
