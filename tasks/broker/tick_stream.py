"""The connection that carries ticks and depth to a recorder, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.broker.codes import DATA_LOST
from tasks.broker.ibkr import Connection, EvidenceIB

if TYPE_CHECKING:
    from tasks.broker.contracts import ContractBook
    from tasks.broker.tick_tap import TickSink

DEPTH_RESET = 317
TICK_LIMIT = 10190
REFUSALS = {309: "depth", 10089: "ticks", 10090: "ticks", 10092: "depth", 10189: "ticks",
            10190: "ticks", 354: "data", 200: "data"}  # fmt: skip


class TickConnection(Connection):
    """Streams every trade and quote of some symbols, and on request their order books.

    `refused` maps a symbol to what the broker refused to stream of it and why; `lost` is set when
    the broker says that it has forgotten every subscription; `too_soon` says that a stream of ticks
    was refused for now: IBKR wants 15 s between two requests of one instrument.
    """

    def __init__(
        self,
        ib: EvidenceIB,
        where: str,
        timeout: float,
        heartbeat: float | None = None,
        book: ContractBook | None = None,
    ) -> None:
        super().__init__(ib, where, timeout, heartbeat, book)
        self.refused: dict[str, str] = {}
        self.lost = asyncio.Event()
        self.too_soon = False
        ib.errorEvent += self._saw_notice

    async def stream(self, symbols: Sequence[str], depth_rows: int, sink: TickSink) -> None:
        """Start the streams; `depth_rows` (a side) 0 asks for no order books.

        Raises InvalidInput for a symbol that the broker does not know.
        """
        await self.qualify(symbols)
        self._ib.wrapper.tick_sink = sink
        for symbol in symbols:
            contract = self._contracts[symbol]
            with self._connected:
                self._ib.reqTickByTickData(contract, "AllLast")
                self._ib.reqTickByTickData(contract, "BidAsk")
                if depth_rows:
                    self._ib.reqMktDepth(contract, depth_rows, isSmartDepth=True)

    def _saw_notice(self, _request_id: int, code: int, text: str, contract: Any) -> None:
        symbol = str(contract.symbol) if contract is not None else ""
        sink = self._ib.wrapper.tick_sink
        if code == DATA_LOST:
            self.lost.set()
        elif code == DEPTH_RESET and sink is not None and symbol:
            for side in ("bid", "ask"):
                sink.take("depth", symbol, None, (side, 0, "reset", 0.0, 0.0, ""))
        elif code in REFUSALS and symbol:
            self.too_soon = self.too_soon or code == TICK_LIMIT
            self.refused[f"{symbol} {REFUSALS[code]}"] = f"{text} (code {code})"
