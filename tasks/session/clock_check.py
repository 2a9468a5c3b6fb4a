"""The local clock against the broker's: before a session begins, and when it was stepped in one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from models.domain.errors import HaltTrading, RetryLater
from models.risk.clock_skew import ClockReading, proven_skew
from tasks.broker.clock import WallClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tasks.broker.protocol import OrderGateway

READINGS, APART = 4, 0.25  # wall seconds: four answers in whole seconds prove a skew to a quarter
WARN_SHARE = 0.25  # of the limit, from which on a person is told


async def measured_skew(gateway: OrderGateway, now: Callable[[], datetime]) -> float:
    """Return the seconds by which `now` is proven to be ahead of the broker (behind: below 0)."""
    readings: list[ClockReading] = []
    for number in range(READINGS):
        if number:
            await asyncio.sleep(APART)
        before = now()
        told = await gateway.flush()
        readings.append(ClockReading(before, told, now()))
    return proven_skew(readings)


async def require_clock(
    gateway: OrderGateway,
    now: Callable[[], datetime],
    limit: float,
    alert: Callable[[str, str], None],
) -> float:
    """Pass a clock that agrees with the broker's to `limit` seconds; return the proven skew.

    A smaller skew is told to a person. Raises HaltTrading beyond the limit: schedules, quote ages
    and the close would be wrong by as much.
    """
    skew = await measured_skew(gateway, now)
    way = "ahead of" if skew > 0 else "behind"
    text = f"this computer's clock is at least {abs(skew):.2f} s {way} the broker's"
    if abs(skew) > limit:
        raise HaltTrading(
            f"{text}, more than the {limit:g} s of ROBO_MAX_CLOCK_SKEW; nothing is sent: set the "
            "clock (timedatectl set-ntp true, chronyc makestep), then run `robo execute` again"
        )
    if abs(skew) > WARN_SHARE * limit:
        alert("the clock is off", f"{text}; above {limit:g} s no session starts: check NTP")
    return skew


async def after_a_step(
    gateway: OrderGateway, clock: WallClock, limit: float, alert: Callable[[str, str], None]
) -> None:
    """Judge by the broker's time whether a session may go on after the system clock was stepped.

    It goes on by elapsed time when that still agrees. Raises RetryLater when it does not: the
    computer slept, and the schedule is to be taken up anew.
    """
    stepped = clock.stepped
    if abs(stepped) <= limit:
        return
    skew = await measured_skew(gateway, clock.now)
    clock.take_for_granted()
    if abs(skew) > limit:
        raise RetryLater(
            f"this computer has lost {abs(skew):.0f} s (asleep, or stopped): the schedule is taken "
            "up anew: run `robo execute` again; it reads what the broker has before it sends"
        )
    alert(
        "the system clock was stepped",
        f"by {stepped:+.1f} s, while the broker's time went on evenly; the session goes by elapsed "
        "time, check NTP",
    )
