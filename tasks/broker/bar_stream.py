"""Bars of the running session as the broker streams them: five seconds, and one minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tasks.broker import conversion
from tasks.broker.history import HistoryConnection

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

FIVE_SECONDS = 5
SETTLED = timedelta(seconds=5)  # after its end, a minute is taken for final though none follows
# Two sessions: ib_async drops the updates of a list that is still empty before the open.
HELD = "2 D"


class BarStream(HistoryConnection):
    """The connection of live bars; what has arrived is taken in batches."""

    _minutes: dict[str, Any]
    _seconds: dict[str, Any]
    _taken: dict[tuple[str, str], datetime]

    async def start(self, symbols: Sequence[str], since: datetime) -> None:
        """Subscribe to bars that start at `since` (UTC) or later."""
        await self.qualify(symbols)
        self._minutes, self._seconds, self._taken = {}, {}, {}
        for symbol in symbols:
            contract = self._contracts[symbol]

            def ask(contract: Any = contract) -> Any:
                return self._ib.reqHistoricalDataAsync(
                    contract,
                    "",
                    HELD,
                    "1 min",
                    "TRADES",
                    useRTH=True,
                    formatDate=2,
                    keepUpToDate=True,
                    timeout=0,
                )

            self._minutes[symbol] = await self._call(ask, f"live minutes of {symbol}")
            with self._connected:
                self._seconds[symbol] = self._ib.reqRealTimeBars(
                    contract, FIVE_SECONDS, "TRADES", True
                )
            self._taken[symbol, "1m"] = self._taken[symbol, "5s"] = since

    def take(self, now: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the finished bars not taken before: of five seconds, and of one minute."""
        return self._fresh("5s", self._seconds, now), self._fresh("1m", self._minutes, now)

    def _fresh(self, kind: str, lists: dict[str, Any], now: datetime) -> pd.DataFrame:
        import pandas as pd

        frames: list[pd.DataFrame] = []
        for symbol, bars in lists.items():
            frame = conversion.intraday_frame(symbol, bars)
            if kind == "1m" and len(frame):
                running = frame["ts"].iloc[-1] + timedelta(minutes=1) + SETTLED > now
                frame = frame.iloc[:-1] if running else frame
            frame = frame[frame["ts"] >= self._taken[symbol, kind]]
            if len(frame):
                step = timedelta(minutes=1) if kind == "1m" else timedelta(seconds=FIVE_SECONDS)
                self._taken[symbol, kind] = frame["ts"].iloc[-1].to_pydatetime() + step
                frames.append(frame)
            if kind == "5s":
                bars.clear()
        return pd.concat(frames, ignore_index=True) if frames else conversion.intraday_frame("", ())
