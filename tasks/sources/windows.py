"""How the broker's history is cut into requests, and how often they may be made.

Sizes and durations: Interactive Brokers, TWS API documentation, Historical Bars, Step Sizes and
Historical Data Limitations. A request stays well inside them, since long ones time out.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from models.domain.errors import InvalidInput
from models.domain.sessions import session_dates, sessions_between
from tasks.sources.protocol import Timeframe
from warehouse.market.history_windows import FIVE_SECONDS, MINUTE, HistoryWindow

SMALL = 58  # requests of bars up to 30 s in ten minutes; the limit is 60
TEN_MINUTES = 600.0
BURST, BURST_SECONDS = 5, 2.0  # of one contract; six in two seconds are too many
IDENTICAL_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class BarSize:
    """One of the broker's bar sizes: a window of sessions, asked for in parts of some seconds.

    `part` None asks for a whole window at once, as a count of days.
    """

    name: str
    timeframe: Timeframe
    sessions: int
    part: int | None
    is_small: bool


SIZES = {
    "1m": BarSize(MINUTE, "1m", 5, None, False),
    "5s": BarSize(FIVE_SECONDS, "5s", 1, 7200, True),
}


def bar_size(timeframe: str) -> BarSize:
    """Return how bars are asked for; InvalidInput for those that are built or come daily."""
    if timeframe not in SIZES:
        raise InvalidInput(
            f"no history of {timeframe} is fetched in windows; give 1m or 5s (daily bars: robo "
            "ingest; 5m, 15m and 1h are built from 1m)"
        )
    return SIZES[timeframe]


def plan_windows(
    symbols: Sequence[str],
    size: BarSize,
    first: date,
    last: date,
    covered: Callable[[str], Iterable[HistoryWindow]],
) -> tuple[HistoryWindow, ...]:
    """Return windows over the sessions of [first, last] that no window of a symbol covers yet.

    A window holds sessions that follow one another, at most as many as the size allows.
    """
    sessions = session_dates(first, last)
    found: list[HistoryWindow] = []
    for symbol in symbols:
        windows = tuple(covered(symbol))
        held = {day for day in sessions if any(w.first <= day <= w.last for w in windows)}
        run: list[date] = []
        for day in (*sessions, None):
            if day is not None and day not in held:
                run.append(day)
            if run and (day is None or day in held or len(run) == size.sessions):
                found.append(HistoryWindow(symbol, size.name, run[0], run[-1]))
                run = []
    return tuple(found)


def requests_of(window: HistoryWindow, size: BarSize) -> tuple[tuple[datetime, str], ...]:
    """Return the (end in UTC, duration) of each request that a window needs."""
    sessions = sessions_between(window.first, window.last)
    if not sessions:
        raise InvalidInput(f"{window.first} to {window.last} holds no session; plan it anew")
    if size.part is None:
        return ((sessions[-1].close, f"{len(sessions)} D"),)
    parts: list[tuple[datetime, str]] = []
    for session in sessions:
        end = session.close
        while end > session.open:
            seconds = min(size.part, int((end - session.open).total_seconds()))
            parts.append((end, f"{seconds} S"))
            end -= timedelta(seconds=seconds)
    return tuple(parts)


class HistoryPacer:
    """Keeps requests inside the broker's limits, in wall seconds of the event loop's clock."""

    def __init__(self, small: int = SMALL) -> None:
        self._small_limit = small
        self._small: deque[float] = deque()
        self._bursts: defaultdict[str, deque[float]] = defaultdict(deque)
        self._asked: dict[tuple[str, str, datetime, str], float] = {}
        self._lock = asyncio.Lock()

    async def turn(self, symbol: str, size: BarSize, request: tuple[datetime, str]) -> float:
        """Wait until the request may be made, and count it; return the seconds waited.

        Only bars of up to 30 s have hard limits; others are slowed down by the broker itself.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        if not size.is_small:
            return 0.0
        async with self._lock:
            while (pause := self._pause(symbol, size, request, loop.time())) > 0:
                await asyncio.sleep(pause)
            now = loop.time()
            self._small.append(now)
            self._bursts[symbol].append(now)
            self._asked[symbol, size.name, *request] = now
        return loop.time() - began

    def _pause(
        self, symbol: str, size: BarSize, request: tuple[datetime, str], now: float
    ) -> float:
        """Return the seconds until every limit lets the request pass."""
        pauses = [0.0]
        while self._small and self._small[0] <= now - TEN_MINUTES:
            self._small.popleft()
        if len(self._small) >= self._small_limit:
            pauses.append(self._small[0] + TEN_MINUTES - now)
        burst = self._bursts[symbol]
        while burst and burst[0] <= now - BURST_SECONDS:
            burst.popleft()
        if len(burst) >= BURST:
            pauses.append(burst[0] + BURST_SECONDS - now)
        before = self._asked.get((symbol, size.name, *request))
        if before is not None and now - before < IDENTICAL_SECONDS:
            pauses.append(before + IDENTICAL_SECONDS - now)
        return max(pauses)
