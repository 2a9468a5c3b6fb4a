"""The connection that carries market data and history and no orders."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from tasks.broker import conversion
from tasks.broker.codes import DATA_LOST
from tasks.broker.ibkr import Connection, EvidenceIB
from tasks.broker.refusals import HISTORY, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import pandas as pd

    from models.domain.orders import Quote
    from tasks.broker.contracts import ContractBook

SHORTABLE = "236"  # the generic tick that tells how many shares may be borrowed


class DataConnection(Connection):
    """The connection that carries market data and history and no orders."""

    def __init__(
        self,
        ib: EvidenceIB,
        where: str,
        timeout: float,
        heartbeat: float | None = None,
        book: ContractBook | None = None,
    ) -> None:
        super().__init__(ib, where, timeout, heartbeat, book)
        self._now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._stamps: dict[str, datetime] = {}
        self._subscribed: dict[str, str] = {}  # and what else was asked for
        ib.errorEvent += self._saw_notice

    def stamp_quotes_with(self, now: Callable[[], datetime]) -> None:
        """Stamp arriving quotes with `now()`: the market time at which they cannot be older."""
        self._now = now

    async def subscribe(self, symbols: Sequence[str], *, with_shortable: bool = False) -> None:
        """Stream the top of book of every symbol, and on request what may be borrowed."""
        await self.qualify(symbols)
        wanted = SHORTABLE if with_shortable else ""
        for symbol in symbols:
            self._stream(symbol, wanted)
            self._subscribed[symbol] = wanted

    def _stream(self, symbol: str, wanted: str) -> None:
        with self._connected():
            ticker = self._ib.reqMktData(self._contracts[symbol], wanted, False, False)
        if self._stamp not in ticker.updateEvent:
            ticker.updateEvent.connect(self._stamp)

    def _saw_notice(self, _request_id: int, code: int, _text: str, _contract: Any) -> None:
        """Subscribe anew once the gateway says that it has forgotten every subscription.

        What was quoted before is no quote any more: prices are refused until new ones have come.
        """
        if code == DATA_LOST:
            self._stamps.clear()
            for symbol, wanted in self._subscribed.items():
                contract = self._contracts[symbol]
                with self._connected():
                    self._ib.cancelMktData(contract)
                ticker = self._ib.ticker(contract)
                if ticker is not None:  # it is used again, and would pair a new bid with an old ask
                    ticker.bid = ticker.ask = math.nan
                self._stream(symbol, wanted)

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest quote, or None before both sides were seen in real time."""
        contract = self._contracts.get(symbol)
        ticker = None if contract is None else self._ib.ticker(contract)
        if ticker is None or symbol not in self._stamps:
            return None
        return conversion.quote_of(symbol, ticker, self._stamps[symbol])

    def shortable(self, symbol: str) -> int | None:
        """Return the shares that may be borrowed, or None before the broker has said."""
        contract = self._contracts.get(symbol)
        ticker = None if contract is None else self._ib.ticker(contract)
        return None if ticker is None else conversion.shortable_of(ticker)

    def last_close(self, symbol: str) -> float | None:
        """Return the close (USD) of the session before, or None before the broker has said."""
        contract = self._contracts.get(symbol)
        ticker = None if contract is None else self._ib.ticker(contract)
        return None if ticker is None else conversion.close_of(ticker)

    async def daily_bars(self, symbol: str, first: date | None, end: date) -> pd.DataFrame:
        """Return the Bars frame of `symbol` from `first` (None: 33 years) to `end`, inclusive."""
        await self.qualify([symbol])

        def ask() -> Awaitable[Any]:
            return self._ib.reqHistoricalDataAsync(
                self._contracts[symbol],
                datetime(end.year, end.month, end.day, 23, 59, 59, tzinfo=UTC),
                conversion.duration(first, end),
                "1 day",
                "TRADES",
                useRTH=True,
                timeout=0,
            )

        try:
            bars = await self._call(ask, f"history of {symbol}")
        except RequestRefused as error:
            if error.code != HISTORY or "no data" not in str(error).lower():
                raise
            bars = []
        frame = conversion.bars_frame(symbol, bars)
        inside = frame["session"] <= end
        if first is not None:
            inside &= frame["session"] >= first
        return frame[inside].reset_index(drop=True)

    def _stamp(self, ticker: Any) -> None:
        self._stamps[ticker.contract.symbol] = self._now()
