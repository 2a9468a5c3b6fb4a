"""The broker's history, window by window: paced, resumable, and through restarts of the gateway.

Every window is a row of `history_windows` that is open until its bars are merged, so a run that is
killed, or whose gateway is, goes on where it stood: what is done is never asked for again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput, RetryLater
from models.domain.sessions import at_exchange_time
from tasks.broker.protocol import GatewayUnreachable
from tasks.broker.refusals import RequestPutOff
from tasks.market_data.ingest import last_completed_session
from tasks.market_data.restatements import in_shares_of_then, splits_in_prices
from tasks.sources.protocol import BarBatch
from tasks.sources.windows import BarSize, HistoryPacer, requests_of
from warehouse.market.history_windows import HistoryWindow, WindowState

if TYPE_CHECKING:
    import pandas as pd

    from models.domain.corporate_actions import CorporateAction
    from tasks.broker.history import HistoryConnection
    from warehouse.market import MarketWarehouse
    from warehouse.market.as_of import MergeResult

AT_ONCE = 4  # requests under way; the broker allows 50
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # wall seconds before the gateway is tried again
PUT_OFF_PAUSE = 15.0  # wall seconds after the broker asked for patience

Connect = Callable[[], Awaitable["HistoryConnection"]]


class IbkrHistorySource:
    """The open windows of some symbols; `tickers` maps an instrument to what the broker calls it.

    `patience` is how many wall seconds the gateway may be away before the run gives up; what is
    open then stays open. `failed` tells, after the run, which symbols the broker refused, or which
    windows a rule of quality, and why.
    """

    name = "ibkr"

    def __init__(
        self,
        connect: Connect,
        warehouse: MarketWarehouse,
        size: BarSize,
        symbols: Sequence[str],
        now: Callable[[], datetime],
        *,
        progress: Callable[[str], None] = lambda _text: None,
        tickers: dict[str, str] | None = None,
        patience: float = 600.0,
    ) -> None:
        self._connect = connect
        self._warehouse = warehouse
        self._size = size
        self._symbols = symbols
        self._now = now
        self._progress = progress
        self._tickers = tickers or {}
        self._patience = patience
        self._pacer = HistoryPacer()
        self._splits: dict[str, list[CorporateAction]] = {}
        self._link: HistoryConnection | None = None
        self.failed: dict[str, str] = {}
        self.requests = 0

    async def batches(self) -> AsyncIterator[BarBatch]:
        """Give a batch a window, newest sessions first, the symbols in turn."""
        rows = await asyncio.to_thread(
            self._warehouse.history_windows.open, self._size.name, self._symbols
        )
        last = last_completed_session(self._now())
        self._splits = await asyncio.to_thread(
            splits_in_prices, self._warehouse, self._symbols, self.name, last
        )
        waiting = deque(row.window for row in rows)
        done = 0
        try:
            while waiting:
                chosen = [waiting.popleft() for _ in range(min(AT_ONCE, len(waiting)))]
                chosen = [window for window in chosen if window.symbol not in self.failed]
                link = await self._linked(len(waiting) + len(chosen))
                answers = await asyncio.gather(
                    *(self._fetch(link, window) for window in chosen), return_exceptions=True
                )
                again: list[HistoryWindow] = []
                for window, answer in zip(chosen, answers, strict=True):
                    if isinstance(answer, BaseException):
                        again += self._again(window, answer)
                        continue
                    done += 1
                    yield BarBatch(
                        self._size.timeframe,
                        answer,
                        f"{_label(window)} ({done} of {len(rows)} windows)",
                        landed=partial(self._settle, window, len(answer)),
                        refused=partial(self._refuse, window),
                        adjusted=True,
                    )
                waiting.extendleft(reversed(again))
                if again and self._link is not None:
                    await asyncio.sleep(PUT_OFF_PAUSE)
        finally:
            await self._drop()

    def _settle(self, window: HistoryWindow, bars: int, _merged: MergeResult) -> None:
        state = WindowState.DONE if bars else WindowState.EMPTY
        self._warehouse.history_windows.settle(window, state, bars, self._now())

    def _refuse(self, window: HistoryWindow, error: InvalidInput) -> None:
        """Leave a window open whose bars were not let in; the others go on."""
        self.failed[_label(window)] = str(error)
        settle = self._warehouse.history_windows.settle
        settle(window, WindowState.OPEN, 0, self._now(), str(error)[:300])

    def _again(self, window: HistoryWindow, error: BaseException) -> list[HistoryWindow]:
        """Return the window if it is to be asked for again in this run; raise what ends the run."""
        if isinstance(error, RequestPutOff):
            self._progress(f"{window.symbol}: {error}")
            return [window]
        if isinstance(error, GatewayUnreachable):
            self._link = None if self._link is None else self._abandon(self._link)
            return [window]
        if isinstance(error, InvalidInput):
            self._refuse(window, error)
            self.failed[window.symbol] = self.failed.pop(_label(window))
            return []
        raise error

    def _abandon(self, link: HistoryConnection) -> None:
        """Close a connection that broke, without waiting for it."""
        self._closing = asyncio.ensure_future(link.close())

    async def _fetch(self, link: HistoryConnection, window: HistoryWindow) -> pd.DataFrame:
        import pandas as pd

        ticker = self._tickers.get(window.symbol, window.symbol)
        frames: list[pd.DataFrame] = []
        for end, duration in requests_of(window, self._size):
            await self._pacer.turn(window.symbol, self._size, (end, duration))
            self.requests += 1
            frames.append(await link.intraday_bars(ticker, self._size.name, end, duration))
        frame = pd.concat(frames, ignore_index=True).drop_duplicates(["symbol", "ts"])
        days = frame["ts"].dt.tz_convert("America/New_York").dt.date
        inside = (days >= window.first) & (days <= window.last)
        frame = frame[inside].assign(symbol=window.symbol).reset_index(drop=True)
        later = [
            split for split in self._splits.get(window.symbol, ()) if split.ex_date > window.first
        ]
        if not later:
            return frame
        held = await asyncio.to_thread(self._held, window)
        return in_shares_of_then(frame, held, {window.symbol: later})

    def _held(self, window: HistoryWindow) -> pd.DataFrame:
        """Return the stored bars of the window's sessions."""
        if self._size.timeframe == "1m":
            return self._warehouse.minutes.bars([window.symbol], "1m", window.first, window.last)
        begin = at_exchange_time(window.first, 0)
        end = at_exchange_time(window.last + timedelta(days=1), 0)
        return self._warehouse.seconds.bars([window.symbol], begin, end)

    async def _linked(self, left: int) -> HistoryConnection:
        """Return the connection, made anew while the gateway comes back within the patience."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._patience, FIRST_PAUSE
        while self._link is None:
            try:
                self._link = await self._connect()
            except RetryLater as error:
                if loop.time() + pause > deadline:
                    raise RetryLater(
                        f"{error}; {left} windows of history are still open: run the same command "
                        "again, it goes on where it stood"
                    ) from error
                self._progress(f"the gateway is away, trying again in {pause:g} s: {error}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        return self._link

    async def _drop(self) -> None:
        if self._link is not None:
            await self._link.close()
            self._link = None


def _label(window: HistoryWindow) -> str:
    return f"{window.symbol} {window.first} to {window.last}"
