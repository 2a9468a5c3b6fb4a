"""The connection that carries market data and history and no orders."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from tasks.broker import conversion
from tasks.broker.codes import DATA_LOST
from tasks.broker.ibkr import Connection, EvidenceIB
from tasks.broker.refusals import HISTORY, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    import pandas as pd
    from ib_async import Contract, Ticker

    from models.domain.orders import Quote
    from tasks.broker.contracts import ContractBook

SHORTABLE = "236"  # the generic tick that tells how many shares may be borrowed
LIVE_TICKS = frozenset({0, 1, 2, 3, 4, 5, 8})  # of bid, ask and trades: the book is quoted now


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
        self._quotes: dict[str, tuple[object, Quote | None]] = {}  # with what each was made of
        self._keys: dict[str, tuple[Contract, int]] = {}  # of tickers, in ib_async's own table
        self._subscribed: dict[str, str] = {}  # and what else was asked for
        ib.errorEvent += self._saw_notice

    def stamp_quotes_with(self, now: Callable[[], datetime]) -> None:
        """Stamp arriving quotes with `now()`: the market time at which they cannot be older."""
        self._now = now

    async def subscribe_known(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Stream what the broker knows as US stocks; return the other names."""
        unknown = []
        for symbol in sorted(symbols):
            try:
                await self.subscribe([symbol])
            except InvalidInput:
                unknown.append(symbol)
        return tuple(unknown)

    async def subscribe(self, symbols: Sequence[str], *, with_shortable: bool = False) -> None:
        """Stream the top of book of every symbol, and on request what may be borrowed."""
        await self.qualify(symbols)
        wanted = SHORTABLE if with_shortable else ""
        for symbol in symbols:
            self._stream(symbol, wanted)
            self._subscribed[symbol] = wanted

    def _stream(self, symbol: str, wanted: str) -> None:
        with self._connected:
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
                with self._connected:
                    self._ib.cancelMktData(contract)
                ticker = self._ib.ticker(contract)
                if ticker is not None:  # it is used again
                    _forget(ticker)
                self._stream(symbol, wanted)

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest quote, or None before both sides were seen in real time."""
        at, ticker = self._stamps.get(symbol), self._ticker(symbol)
        if ticker is None or at is None:
            return None
        sizes = (ticker.bidSize, ticker.askSize)
        made_of = (ticker.bid, ticker.ask, sizes, ticker.marketDataType, at)
        known = self._quotes.get(symbol)
        if known is None or known[0] != made_of:
            known = self._quotes[symbol] = made_of, conversion.quote_of(symbol, ticker, at)
        return known[1]

    def _ticker(self, symbol: str) -> Ticker | None:
        """Return what IB.ticker does; hashing a contract each time costs more than the rest."""
        contract = self._contracts.get(symbol)
        if contract is None:
            return None
        known = self._keys.get(symbol)
        if known is None or known[0] is not contract:
            known = self._keys[symbol] = contract, hash(contract)
        return self._ib.wrapper.tickers.get(known[1])

    def shortable(self, symbol: str) -> int | None:
        """Return the shares that may be borrowed, or None before the broker has said."""
        ticker = self._ticker(symbol)
        return None if ticker is None else conversion.shortable_of(ticker)

    def last_close(self, symbol: str) -> float | None:
        """Return the close (USD) of the session before, or None before the broker has said."""
        ticker = self._ticker(symbol)
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
        """Note that the quote is current: one of its sides came, or a trade beside it.

        A side that does not change is not sent again, so trades count; other news does not. While
        the exchange has halted the symbol there is no quote, and after it none before both sides
        have come anew.
        """
        symbol = ticker.contract.symbol
        if ticker.halted > 0:  # 1: by the exchange, 2: volatility
            self._stamps.pop(symbol, None)
            _forget(ticker)
        elif any(tick.tickType in LIVE_TICKS for tick in ticker.ticks):
            self._stamps[symbol] = self._now()


def _forget(ticker: Any) -> None:
    """Forget both sides, so that a new bid is not paired with an old ask."""
    ticker.bid = ticker.ask = math.nan
