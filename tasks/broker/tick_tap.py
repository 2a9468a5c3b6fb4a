"""Where ticks are tapped: the client keeps neither exchange time nor order within a packet."""

# ruff: noqa: N802, N803, N815, D102, PLR0917 -- methods that the client calls by name

from __future__ import annotations

from typing import Any, Protocol

OPERATIONS = ("insert", "update", "delete")


class TickSink(Protocol):
    """What takes ticks as they arrive."""

    def take(self, kind: str, symbol: str, at: int | None, values: tuple[object, ...]) -> None:
        """Take one tick in the columns of its kind (warehouse.market.ticks), USD and shares.

        `at` is the exchange's time in whole seconds since 1970; depth carries none.
        """
        ...


class TickTap:
    """The tick messages of a client's wrapper, in front of the wrapper that it is mixed into."""

    tick_sink: TickSink | None = None
    reqId2Ticker: Any

    def tickByTickAllLast(
        self, reqId: int, tickType: int, time: int, price: float, size: float, attrib: Any,
        exchange: str, conditions: str,
    ) -> None:  # fmt: skip
        told = f"{conditions} unreported".strip() if attrib.unreported else conditions
        self._tap("trades", reqId, time, (price, size, exchange, told))
        self._client("tickByTickAllLast")(
            reqId, tickType, time, price, size, attrib, exchange, conditions
        )

    def tickByTickBidAsk(
        self, reqId: int, time: int, bid: float, ask: float, bidSize: float, askSize: float,
        attrib: Any,
    ) -> None:  # fmt: skip
        self._tap("quotes", reqId, time, (bid, bidSize, ask, askSize))
        self._client("tickByTickBidAsk")(reqId, time, bid, ask, bidSize, askSize, attrib)

    def updateMktDepthL2(
        self, reqId: int, position: int, maker: str, operation: int, side: int, price: float,
        size: float, isSmartDepth: bool = False,
    ) -> None:  # fmt: skip
        name = "bid" if side else "ask"
        self._tap("depth", reqId, None, (name, position, OPERATIONS[operation], price, size, maker))
        self._client("updateMktDepthL2")(
            reqId, position, maker, operation, side, price, size, isSmartDepth
        )

    def _tap(self, kind: str, request_id: int, at: int | None, values: tuple[object, ...]) -> None:
        ticker = self.reqId2Ticker.get(request_id)
        if self.tick_sink is not None and ticker is not None:
            self.tick_sink.take(kind, str(ticker.contract.symbol), at, values)

    def _client(self, name: str) -> Any:
        return getattr(super(), name)
