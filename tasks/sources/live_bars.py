"""Bars of the running session, landed in batches, and through outages of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from models.domain.errors import RetryLater, SkipToday
from models.domain.sessions import exchange_date, session_on
from tasks.broker.protocol import GatewayUnreachable
from tasks.sources.protocol import BarBatch

if TYPE_CHECKING:
    from threading import Event

    import pandas as pd

    from models.domain.clock import Clock
    from tasks.broker.bar_stream import BarStream

EVERY = timedelta(minutes=1)  # market time between landings: the warehouse is written to that often
AFTER_CLOSE = timedelta(seconds=20)  # for the last bars to come
LONGEST_GAP = timedelta(seconds=7200)  # of five-second bars that is fetched after an outage
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # wall seconds before the gateway is tried again

Connect = Callable[[], Awaitable["BarStream"]]


class LiveBarSource:
    """The five-second and one-minute bars of some symbols until the session closes.

    `wanted` ends it earlier, counted from the opening where that is still to come; `stop` ends it
    after the next landing. `patience` is how many wall seconds the gateway may be away. The minutes
    of an outage come with the new subscription, the five-second bars of up to two
    hours from the broker's history.
    """

    name = "ibkr"

    def __init__(
        self,
        connect: Connect,
        clock: Clock,
        symbols: Sequence[str],
        stop: Event,
        *,
        wanted: timedelta | None = None,
        progress: Callable[[str], None] = lambda _text: None,
        patience: float = 600.0,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._symbols = symbols
        self._stop = stop
        self._wanted = wanted
        self._progress = progress
        self._patience = patience
        self._link: BarStream | None = None
        self.reconnects = 0

    async def batches(self) -> AsyncIterator[BarBatch]:
        """Give the finished bars of each minute; raise SkipToday when no session is left today."""
        opens, closes = self._session()
        began = taken = max(self._clock.now(), opens)
        end = closes + AFTER_CLOSE
        if self._wanted is not None:
            end = min(end, began + self._wanted)
        if self._clock.now() < opens:
            self._progress(f"the session opens at {opens:%Y-%m-%d %H:%M} UTC; waiting")
        gap: list[pd.DataFrame] = []
        try:
            while True:
                try:
                    if self._link is None:
                        gap = await self._linked(began, taken)
                    await self._clock.sleep_until(min(max(self._clock.now(), opens) + EVERY, end))
                    await self._link_now().flush()
                except GatewayUnreachable as error:
                    await self._broke(error)
                    continue
                now = self._clock.now()
                seconds, minutes = self._link_now().take(now)
                taken = now
                for batch in self._batches(seconds, minutes, gap, now):
                    yield batch
                gap = []
                if now >= end or self._stop.is_set():
                    return
        finally:
            if self._link is not None:
                await self._link.close()

    def _session(self) -> tuple[datetime, datetime]:
        now = self._clock.now()
        session = session_on(exchange_date(now))
        if session is None or now >= session.close:
            raise SkipToday(
                f"market closed: no session of today is left at {now:%Y-%m-%d %H:%M} UTC"
            )
        return session.open, session.close

    def _link_now(self) -> BarStream:
        if self._link is None:
            raise GatewayUnreachable(
                "the connection for live bars broke; see that the gateway runs"
            )
        return self._link

    def _batches(
        self,
        seconds: pd.DataFrame,
        minutes: pd.DataFrame,
        gap: list[pd.DataFrame],
        now: datetime,
    ) -> list[BarBatch]:
        import pandas as pd

        if gap:
            seconds = pd.concat([*gap, seconds]).drop_duplicates(["symbol", "ts"], keep="last")
        label = f"to {now:%H:%M:%S} UTC"
        found = [
            BarBatch("5s", seconds.reset_index(drop=True), f"5 s bars {label}"),
            BarBatch("1m", minutes, f"1 min bars {label}", adjusted=True),
        ]
        return [batch for batch in found if len(batch.frame)]

    async def _broke(self, error: GatewayUnreachable) -> None:
        self._progress(f"live bars were interrupted: {error}")
        if self._link is not None:
            await self._link.close()
            self._link = None
            self.reconnects += 1

    async def _linked(self, began: datetime, taken: datetime) -> list[pd.DataFrame]:
        """Connect and subscribe; return the five-second bars that an outage cost."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._patience, FIRST_PAUSE
        while True:
            try:
                link = await self._connect()
                await link.start(self._symbols, began if taken == began else taken - EVERY)
                self._link = link
                return await self._missed(link, taken) if self.reconnects else []
            except RetryLater as error:
                self._link = None
                if loop.time() + pause > deadline:
                    raise
                self._progress(f"the gateway is away, trying again in {pause:g} s: {error}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _missed(self, link: BarStream, taken: datetime) -> list[pd.DataFrame]:
        now = self._clock.now()
        seconds = int(min(now - taken, LONGEST_GAP).total_seconds()) // 5 * 5
        if seconds <= 0:
            return []
        frames = [
            await link.intraday_bars(symbol, "5 secs", now, f"{seconds} S")
            for symbol in self._symbols
        ]
        return [frame[frame["ts"] >= taken] for frame in frames]
