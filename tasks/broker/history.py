"""What the broker tells of the past and of instruments: bars of any size, contract details."""

from __future__ import annotations

from datetime import UTC, date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from models.domain.instruments import Instrument, TickStep
from tasks.broker import conversion
from tasks.broker.market_data import DataConnection
from tasks.broker.refusals import HISTORY, NO_SECURITY, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    import pandas as pd


class HistoryConnection(DataConnection):
    """The connection that fetches history in many requests, and what instruments are."""

    async def intraday_bars(
        self, symbol: str, bar_size: str, end: datetime, duration: str
    ) -> pd.DataFrame:
        """Return regular-hours trades of `duration` up to `end` (UTC) in bars of `bar_size`.

        Columns: symbol, ts (start, UTC), open … close (USD), volume (shares). No bars is an empty
        frame. Raises RequestPutOff when the broker asks for patience, RequestRefused otherwise.
        """
        await self.qualify([symbol])

        def ask() -> Awaitable[Any]:
            return self._ib.reqHistoricalDataAsync(
                self._contracts[symbol],
                end.astimezone(UTC),
                duration,
                bar_size,
                "TRADES",
                useRTH=True,
                formatDate=2,
                timeout=0,
            )

        try:
            bars = await self._call(ask, f"{bar_size} history of {symbol}")
        except RequestRefused as error:
            if error.code != HISTORY or "no data" not in str(error).lower():
                raise
            bars = []
        return conversion.intraday_frame(symbol, bars)

    async def describe(self, symbol: str) -> tuple[Instrument, tuple[TickStep, ...]] | None:
        """Return a US stock's identity and price steps, or None when the broker knows none.

        `listed` is where the broker's history of trades begins.
        """
        await self.qualify([symbol])
        contract = self._contracts[symbol]
        try:
            what = f"contract details of {symbol}"
            found = await self._call(lambda: self._ib.reqContractDetailsAsync(contract), what)
        except RequestRefused as error:
            if error.code == NO_SECURITY:
                return None
            raise
        if not found:
            return None
        details = found[0]
        instrument = Instrument(
            symbol,
            con_id=contract.conId,
            name=details.longName or "",
            primary_exchange=details.contract.primaryExchange if details.contract else "",
            currency=details.contract.currency if details.contract else "USD",
            listed=await self._first_trade(symbol),
        )
        return instrument, await self._steps(details)

    async def _first_trade(self, symbol: str) -> date | None:
        contract = self._contracts[symbol]
        try:
            moment = await self._call(
                lambda: self._ib.reqHeadTimeStampAsync(contract, "TRADES", True, 2),
                f"the first trade of {symbol}",
            )
        except RequestRefused:
            return None
        return moment.date() if hasattr(moment, "date") else moment

    async def _steps(self, details: Any) -> tuple[TickStep, ...]:
        rules = dict(
            zip(details.validExchanges.split(","), details.marketRuleIds.split(","), strict=False)
        )
        rule = rules.get("SMART", "")
        steps = None
        if rule.isdigit():
            steps = await self._call(
                lambda: self._ib.reqMarketRuleAsync(int(rule)), f"market rule {rule}"
            )
        if not steps:
            return (TickStep(Decimal(0), conversion.exact(details.minTick)),)
        exact = conversion.exact
        return tuple(TickStep(exact(step.lowEdge), exact(step.increment)) for step in steps)
