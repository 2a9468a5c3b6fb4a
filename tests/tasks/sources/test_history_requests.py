"""How the broker's history is asked for: in which windows, in which parts, how often."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import pytest

from models.domain.errors import InvalidInput
from models.domain.sessions import at_exchange_time, session_dates
from tasks.sources.windows import SIZES, BarSize, HistoryPacer, plan_windows, requests_of
from warehouse.market.history_windows import HistoryWindow

DAYS = session_dates(date(2024, 11, 18), date(2024, 12, 6))  # with Thanksgiving and its half-day
HALF = date(2024, 11, 29)
SECONDS, MINUTES = SIZES["5s"], SIZES["1m"]


def plan(*covered: tuple[date, date]) -> list[tuple[date, date]]:
    held = [HistoryWindow("KO", "1 min", first, last) for first, last in covered]
    found = plan_windows(["KO"], MINUTES, DAYS[0], DAYS[-1], lambda symbol: held)
    return [(window.first, window.last) for window in found]


def test_windows_hold_five_sessions_and_leave_out_what_is_covered() -> None:
    assert plan() == [(DAYS[0], DAYS[4]), (DAYS[5], DAYS[9]), (DAYS[10], DAYS[-1])]
    assert plan((DAYS[2], DAYS[3])) == [(DAYS[0], DAYS[1]), (DAYS[4], DAYS[8]), (DAYS[9], DAYS[13])]
    assert plan((DAYS[1], DAYS[-1])) == [(DAYS[0], DAYS[0])]
    assert plan((DAYS[0], DAYS[-2])) == [(DAYS[-1], DAYS[-1])]
    assert plan((DAYS[0] - timedelta(days=9), DAYS[-1])) == []


def test_five_seconds_of_a_half_day_are_asked_for_in_parts_that_end_at_its_opening() -> None:
    found = requests_of(HistoryWindow("KO", "5 secs", HALF, HALF), SECONDS)
    assert found == (
        (at_exchange_time(HALF, 13), "7200 S"),
        (at_exchange_time(HALF, 11), "5400 S"),
    )
    assert requests_of(HistoryWindow("KO", "1 min", DAYS[5], HALF), MINUTES) == (
        (at_exchange_time(HALF, 13), "4 D"),
    )
    with pytest.raises(InvalidInput, match="2024-11-28 to 2024-11-28 holds no session"):
        requests_of(HistoryWindow("KO", "1 min", date(2024, 11, 28), date(2024, 11, 28)), MINUTES)


class Skipping(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only while somebody sleeps, and at once."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def call_at(self, when, callback, *args, context=None):
        self.now = max(self.now, when)
        return self.call_soon(callback, *args, context=context)


def paced(
    asked: list[tuple[str, int]],
    size: BarSize = SECONDS,
    waits: Mapping[int, float] = MappingProxyType({}),
) -> list[float]:
    """Return when each request (symbol, its number) may be made, in seconds.

    `waits` are seconds that pass before requests, by their place.
    """
    times: list[float] = []

    async def ask() -> None:
        pacer = HistoryPacer()
        for place, (symbol, number) in enumerate(asked):
            await asyncio.sleep(waits.get(place, 0.0))
            end = datetime(2024, 11, 18, tzinfo=UTC) + timedelta(hours=number)
            await pacer.turn(symbol, size, (end, "7200 S"))
            times.append(asyncio.get_running_loop().time())

    with asyncio.Runner(loop_factory=Skipping) as runner:
        runner.run(ask())
    return times


def test_small_bars_stay_below_sixty_requests_in_any_ten_minutes() -> None:
    times = paced([(f"S{number % 20}", number) for number in range(130)])
    assert times[57] == 0.0, "58 at once"
    for first, later in zip(times, times[58:], strict=False):
        assert later - first >= 600.0
    assert times[-1] == 1200.0, "and no slower than that"
    spread = [(f"S{number % 20}", number) for number in range(60)]
    assert paced(spread, waits={57: 400.0})[57:] == [400.0, 600.0, 600.0]


def test_one_contract_is_asked_five_times_in_two_seconds_and_others_do_not_wait() -> None:
    times = paced([("KO", number) for number in range(6)])
    assert times == [0.0] * 5 + [2.0]
    assert paced([("KO", number) for number in range(5)] + [("PEP", 9)])[-1] == 0.0


def test_the_same_request_waits_fifteen_seconds() -> None:
    assert paced([("KO", 1), ("PEP", 1), ("KO", 2), ("KO", 1)]) == [0.0, 0.0, 0.0, 15.0]


def test_larger_bars_are_not_held_back() -> None:
    assert set(paced([("KO", 1)] * 70, MINUTES)) == {0.0}
