"""What a session counts of itself, in market time, over its reconnects."""

from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from models.domain.errors import AutomaticHalt
from models.domain.halts import HaltCode
from models.domain.sessions import session_on
from models.risk.halt_limits import HaltLimits
from models.risk.limits import RiskLimits
from tasks.session.guard import SessionGuard, keep_halt

DAY = session_on(date(2022, 12, 29))
OPEN = DAY.open
BOOK = SimpleNamespace(day_start_equity=100.0, peak_equity=100.0)


def guard(**halts):
    return SessionGuard(RiskLimits(halts=HaltLimits(**halts)))


def look(one, minutes, equity=100.0):
    one.require_sound(OPEN + timedelta(minutes=minutes), DAY, BOOK, equity)


def test_a_loss_at_one_look_is_a_tick_and_at_two_a_halt():
    one = guard()
    for equity in (90.0, 100.0, 90.0, float("nan"), 90.0):
        look(one, 1, equity)
    with pytest.raises(AutomaticHalt, match="equity were lost today") as halt:
        look(one, 2, 90.0)
    assert halt.value.code is HaltCode.DAILY_LOSS


def test_rejects_count_once_an_order_and_leave_the_window():
    one = guard(max_rejects=1, reject_window=60.0)
    for _ in range(5):
        one.rejected("p.1.1", OPEN)
    look(one, 0.5)
    one.rejected("p.2.1", OPEN + timedelta(minutes=1))
    look(one, 1)
    one.rejected("p.3.1", OPEN + timedelta(minutes=1))
    with pytest.raises(AutomaticHalt, match="2 orders were refused"):
        look(one, 1)


def test_attempts_are_of_the_last_minute():
    one = guard(max_order_attempts=2)
    for second in (0, 1, 59):
        one.attempted(OPEN + timedelta(seconds=second))
    look(one, 1)
    one.attempted(OPEN + timedelta(seconds=60))
    with pytest.raises(AutomaticHalt, match="3 child orders were wanted"):
        look(one, 1)


def test_silence_counts_from_the_last_quote_and_only_in_the_session():
    one = guard(max_quote_silence=60.0)

    def at(minutes, quote=None):
        now = OPEN + timedelta(minutes=minutes)
        one.heard([] if quote is None else [OPEN + timedelta(minutes=quote)], now)
        look(one, minutes)

    at(-60)
    at(-1)
    at(0.5)  # the session is half a minute old
    at(1, quote=0.7)
    at(2, quote=1)  # one that is as old as the look before: it came since
    at(3, quote=1)
    with pytest.raises(AutomaticHalt, match="90 seconds of the session went by without any quote"):
        at(3.5, quote=1)
    one.connected()
    at(10)


def test_the_heartbeat_is_of_the_wall_clock_and_begins_with_the_first_loss():
    one = guard(max_heartbeat_loss=10.0)
    one.require_heartbeat(OPEN)
    one.disconnected(OPEN)
    one.disconnected(OPEN + timedelta(seconds=9))
    one.require_heartbeat(OPEN + timedelta(seconds=10))
    with pytest.raises(AutomaticHalt) as halt:
        one.require_heartbeat(OPEN + timedelta(seconds=10.1))
    assert halt.value.code is HaltCode.HEARTBEAT
    one.connected()
    one.require_heartbeat(OPEN + timedelta(hours=1))


def test_a_halt_is_kept_and_told_once_while_it_is_in_force(ledger):
    told = []
    for _ in range(2):
        keep_halt(ledger, AutomaticHalt(HaltCode.REJECTS, "too many"), lambda *a: told.append(a))
    assert [h.code for h in ledger.halts.history()] == [HaltCode.REJECTS]
    assert told == [("trading halted: REJECTS", "too many")]
    keep_halt(ledger, AutomaticHalt(HaltCode.DRAWDOWN, "more"), lambda *a: told.append(a))
    assert len(ledger.halts.in_force()) == len(told) == 2


def test_a_worth_that_stays_unknown_is_told_once_and_again_after_it_was_known():
    one, nan = guard(), float("nan")
    told = [
        one.is_long_unpriced(equity, OPEN + timedelta(seconds=30 * step), DAY)
        for step, equity in enumerate([nan, nan, nan, nan, 100.0, nan, nan, nan])
    ]
    assert told == [False, False, True, False, False, False, False, True]
    assert not one.is_long_unpriced(nan, DAY.close, DAY)
