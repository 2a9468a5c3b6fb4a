"""The local clock held against a real gateway's, and a system clock stepped in a session."""

from datetime import timedelta

import pytest

from models.domain.errors import HaltTrading, RetryLater
from tasks.broker.clock import WallClock
from tasks.session.clock_check import after_a_step, measured_skew, require_clock

pytestmark = pytest.mark.journey


class Machine:
    """A computer whose system clock and whose elapsed time go as the test says."""

    def __init__(self, moment):
        self.system, self.elapsed = moment, 0.0
        self.clock = WallClock(lambda: self.system, lambda: self.elapsed)

    def run(self, seconds):
        self.system += timedelta(seconds=seconds)
        self.elapsed += seconds


@pytest.fixture
async def held(gateway):
    """A held market clock at a full second, and an order connection."""
    async with gateway.clock() as clock, gateway.orders() as link:
        await clock.sleep_until(clock.now().replace(microsecond=0) + timedelta(seconds=1))
        yield clock, link


@pytest.mark.parametrize(("off", "way"), [(3.0, "ahead of"), (-1.5, "behind")])
async def test_a_clock_that_is_off_starts_no_session(held, off, way):
    clock, link = held
    with pytest.raises(HaltTrading, match=rf"{way} the broker's, more than the 1 s"):
        await require_clock(link, lambda: clock.now() + timedelta(seconds=off), 1.0, no_alert)


async def test_a_clock_that_is_a_little_off_is_told_and_passes(held):
    clock, link = held
    told = []
    local = lambda: clock.now() - timedelta(seconds=0.5)  # noqa: E731
    assert await require_clock(link, local, 1.0, lambda *words: told.append(words)) == -0.5
    assert "0.50 s behind the broker's" in told[0][1]


async def test_a_clock_that_agrees_is_not_told_of(held):
    clock, link = held
    assert await measured_skew(link, clock.now) == 0.0
    assert await require_clock(link, clock.now, 0.5, no_alert) == 0.0


@pytest.mark.parametrize("step", [-3600.0, 45.0])
async def test_a_stepped_system_clock_moves_no_schedule_and_is_told_once(held, step):
    clock, link = held
    machine = Machine(clock.now())
    told = []
    machine.system += timedelta(seconds=step)
    assert machine.clock.now() == clock.now()
    for _ in range(2):
        await after_a_step(link, machine.clock, 1.0, lambda *words: told.append(words))
    assert [subject for subject, _ in told] == ["the system clock was stepped"]
    assert f"{step:+.1f} s" in told[0][1]


async def test_a_computer_that_slept_takes_its_schedule_up_anew(held):
    clock, link = held
    machine = Machine(clock.now())
    await clock.sleep_until(clock.now() + timedelta(seconds=600))
    machine.system += timedelta(seconds=600)  # elapsed time stood still
    with pytest.raises(RetryLater, match="has lost 600 s"):
        await after_a_step(link, machine.clock, 1.0, no_alert)


def no_alert(*words):
    raise AssertionError(words)
