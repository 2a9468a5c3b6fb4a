from datetime import UTC, datetime, timedelta

import pytest

from models.domain.errors import RetryLater, SkipToday
from warehouse.ledger import OrderLedger
from warehouse.ledger.halts import Halt

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
LATER = NOW + timedelta(seconds=31)


def test_a_halt_stays_until_someone_resumes(ledger: OrderLedger) -> None:
    assert ledger.halts.current() is None
    assert not ledger.halts.resume("nothing to resume", "operator", NOW)
    first = ledger.halts.halt("daily loss", "risk", NOW)
    assert first == Halt("daily loss", "risk", NOW)
    assert ledger.halts.halt("to be sure", "operator", LATER) == first
    assert ledger.halts.current() == first
    assert ledger.halts.resume("settled", "operator", LATER)
    assert ledger.halts.current() is None
    assert [(h.reason, h.resume_reason, h.resumed_by) for h in ledger.halts.history()] == [
        ("daily loss", "settled", "operator"),
        ("to be sure", "settled", "operator"),
    ]


def test_another_sees_the_halt_at_once(ledger: OrderLedger, ledger_url: str) -> None:
    with OrderLedger(ledger_url) as other:
        other.halts.halt("seen elsewhere", "operator", NOW)
    current = ledger.halts.current()
    assert current is not None
    assert current.reason == "seen elsewhere"


def test_the_loser_learns_who_holds_the_lease(ledger: OrderLedger) -> None:
    held = ledger.leases.acquire("execute", "first", pid=41, host="desk", ttl=30, now=NOW)
    assert (held.token, held.since, held.expires_at) == (1, NOW, NOW + timedelta(seconds=30))
    with pytest.raises(SkipToday, match=r"first \(pid 41 on desk\) since 2024-01-02T15:30"):
        ledger.leases.acquire("execute", "second", pid=42, host="desk", ttl=30, now=NOW)
    assert ledger.leases.acquire("other", "second", pid=42, host="desk", ttl=30, now=NOW).token == 1


def test_the_holder_may_acquire_and_renew(ledger: OrderLedger) -> None:
    held = ledger.leases.acquire("execute", "first", pid=1, host="desk", ttl=30, now=NOW)
    soon = NOW + timedelta(seconds=20)
    assert ledger.leases.acquire("execute", "first", pid=1, host="desk", ttl=30, now=soon) == (
        ledger.leases.renew(held, soon)
    )
    with pytest.raises(SkipToday):
        ledger.leases.acquire("execute", "second", pid=2, host="desk", ttl=30, now=LATER)


def test_an_expired_lease_is_taken_over_with_a_greater_token(ledger: OrderLedger) -> None:
    old = ledger.leases.acquire("execute", "first", pid=1, host="desk", ttl=30, now=NOW)
    new = ledger.leases.acquire("execute", "second", pid=2, host="desk", ttl=30, now=LATER)
    assert new.token == old.token + 1
    with pytest.raises(RetryLater, match="held by second"):
        ledger.leases.renew(old, LATER)
    assert not ledger.leases.release(old)
    assert [lease.holder for lease in ledger.leases.held(LATER)] == ["second"]


def test_an_expired_lease_that_nobody_took_can_be_renewed(ledger: OrderLedger) -> None:
    old = ledger.leases.acquire("execute", "first", pid=1, host="desk", ttl=30, now=NOW)
    assert ledger.leases.renew(old, LATER).token == old.token


def test_a_released_lease_is_free(ledger: OrderLedger) -> None:
    old = ledger.leases.acquire("execute", "first", pid=1, host="desk", ttl=30, now=NOW)
    assert ledger.leases.release(old)
    assert ledger.leases.held(NOW) == ()
    with pytest.raises(RetryLater, match="it was released"):
        ledger.leases.renew(old, NOW)
    again = ledger.leases.acquire("execute", "first", pid=1, host="desk", ttl=30, now=NOW)
    assert again.token == old.token + 1


@pytest.mark.parametrize(
    ("host", "alive", "wins"),
    [("desk", False, True), ("desk", True, False), ("cloud", False, False)],
    ids=["dead here", "alive here", "unknown elsewhere"],
)
def test_only_a_process_dead_on_the_same_host_loses_its_lease_early(
    ledger: OrderLedger, host: str, alive: bool, wins: bool
) -> None:
    ledger.leases.acquire("execute", "first", pid=41, host="desk", ttl=30, now=NOW)
    asked: list[int] = []

    def pid_alive(pid: int) -> bool:
        asked.append(pid)
        return alive

    def take() -> int:
        return ledger.leases.acquire(
            "execute", "second", pid=42, host=host, ttl=30, now=NOW, pid_alive=pid_alive
        ).token

    if wins:
        assert take() == 2
    else:
        with pytest.raises(SkipToday):
            take()
    assert asked == ([41] if host == "desk" else [])
