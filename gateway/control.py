"""The control socket: JSON lines that hold and advance the clock, and look inside the gateway."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from gateway import __version__, control_orders
from gateway.clock import Holder, MarketClock
from gateway.engine.exchange import Exchange
from gateway.faults.registry import described
from gateway.faults.triggers import KEYS, trigger_of
from gateway.market.universe import INSTRUMENTS
from gateway.options import ACCOUNT, GatewayOptions
from gateway.session.hub import Hub
from gateway.timeline import to_iso, to_micros
from models.domain.errors import InvalidInput

LONGEST_LINE = 1 << 16
GONE_BEAT = 0.2  # wall seconds between two looks at whether an asker is still there
SHOWN = 50  # open orders that a status lists
OPS = (
    "hello",
    "time",
    "hold",
    "advance",
    "release",
    "status",
    "fault",
    "faults",
    "clear-faults",
    "halt",
    "resume",
    "order",
    "cancel",
    "shutdown",
)


class ControlServer:
    """Answers {"id", "op", ...} by {"id", "ok", ...}; a connection holds the clock once at most."""

    def __init__(
        self,
        options: GatewayOptions,
        hub: Hub,
        clock: MarketClock,
        stop: Callable[[], None],
    ) -> None:
        self._options = options
        self._hub = hub
        self._clock = clock
        self._stop = stop
        self.api_port = options.port

    @property
    def _exchange(self) -> Exchange:
        return self._hub.exchange

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends; a holder that disconnects no longer holds."""
        holder: Holder | None = None
        try:
            while line := await reader.readline():
                request, reply = _parsed(line)
                if request is not None:
                    try:
                        with _ending_with(reader, request):
                            answer, holder = await self._answer(request, holder)
                        reply |= {"ok": True, **answer}
                    except InvalidInput as error:
                        reply |= {"ok": False, "error": str(error)}
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
                if request is not None and request.get("op") == "shutdown" and reply["ok"]:
                    self._stop()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            return  # gone, or a line beyond all bounds: nothing is owed to this connection
        finally:
            if holder is not None:
                self._clock.release(holder)
            writer.close()

    async def _answer(
        self, request: dict[str, Any], holder: Holder | None
    ) -> tuple[dict[str, Any], Holder | None]:
        op = request.get("op")
        answers: dict[Any, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "hello": lambda _: self._hello(),
            "time": lambda _: self._time(),
            "status": lambda _: self._status(),
            "shutdown": lambda _: self._time(),
            "fault": self._fault,
            "faults": lambda _: {"kinds": described(), "active": self._hub.faults.shown()},
            "clear-faults": lambda _: self._clear_faults(),
            "halt": self._halt,
            "resume": self._halt,
            "order": lambda asked: control_orders.enter(self._hub, asked),
            "cancel": lambda asked: control_orders.cancel(self._hub, asked),
        }
        if (answer := answers.get(op)) is not None:
            return answer(request), holder
        match op:
            case "hold":
                holder = holder or self._clock.hold(str(request.get("name", "unnamed")))
                return self._time(), holder
            case "advance":
                return await self._advance(request, holder)
            case "release":
                if holder is not None:
                    self._clock.release(holder)
                return self._time(), None
            case other:
                raise InvalidInput(f"op {other!r} is unknown; use one of {', '.join(OPS)}")

    def _clear_faults(self) -> dict[str, Any]:
        ended = self._hub.faults.clear()
        self._hub.deliver()
        return {"ended": ended}

    async def _advance(
        self, request: dict[str, Any], holder: Holder | None
    ) -> tuple[dict[str, Any], Holder | None]:
        to = _moment(request.get("to"))
        if to < self._exchange.now:
            raise InvalidInput(
                f"market time cannot go back from {to_iso(self._exchange.now)} to {to_iso(to)}; "
                "advance to a later moment, or start anew with --reset"
            )
        passing = holder or self._clock.hold("advance")
        try:
            now = await self._clock.advance(passing, to)
        finally:
            if holder is None:
                self._clock.release(passing)
        return {"now": to_iso(now)}, holder

    def _fault(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set a fault: {"fault": NAME, "params": {}} and at most one of at, after and on (nth)."""
        self._hub.faults.arm([trigger_of({k: request[k] for k in KEYS if k in request}, "fault")])
        self._hub.deliver()
        return {**self._time(), "active": self._hub.faults.shown()}

    def _halt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Halt or resume trading of one instrument: {"symbol": NAME}."""
        symbol = str(request.get("symbol", "")).upper()
        columns = [place for place, one in enumerate(INSTRUMENTS) if one.symbol == symbol]
        if not columns:
            raise InvalidInput(f"symbol {symbol!r} is not traded here; give one such as AAPL")
        change = self._exchange.halt if request["op"] == "halt" else self._exchange.resume
        change(columns[0])
        self._hub.deliver()
        return {
            **self._time(),
            "halted": [INSTRUMENTS[c].symbol for c in sorted(self._exchange.halted)],
        }

    def _time(self) -> dict[str, Any]:
        return {
            "now": to_iso(self._exchange.now),
            "speed": self._clock.speed,
            "clock": self._options.clock,
        }

    def _hello(self) -> dict[str, Any]:
        span = self._exchange.span
        return {
            "gateway": "robo-trader simulated IB Gateway",
            "version": __version__,
            "account": ACCOUNT,
            **self._time(),
            "session": {
                "date": span.date.isoformat(),
                "open": to_iso(span.open),
                "close": to_iso(span.close),
                "running": self._exchange.in_session,
            },
            "seed": self._options.seed,
            "market": self._exchange.market.source.sentence,
            "api_port": self.api_port,
            "pid": os.getpid(),
        }

    def _status(self) -> dict[str, Any]:
        exchange = self._exchange
        return {
            **self._time(),
            "running": self._clock.running,
            "clients": [c.client_id for c in self._hub.clients],
            "orders": {
                "working": len(exchange.open_orders()),
                "today": len(exchange.orders),
                "executions": len(exchange.executions),
                "open": [
                    f"{o.perm_id} client {o.client_id} {'BUY' if o.buy else 'SELL'} {o.remaining} "
                    f"{INSTRUMENTS[o.column].symbol} {o.kind} {o.status}"
                    for o in exchange.open_orders()[:SHOWN]
                ],
            },
            "halted": [INSTRUMENTS[c].symbol for c in sorted(exchange.halted)],
            "holders": [
                {"name": h.name, "target": None if h.target is None else to_iso(h.target)}
                for h in self._clock.holders
            ],
        }


@contextmanager
def _ending_with(reader: asyncio.StreamReader, request: dict[str, Any]) -> Iterator[None]:
    """Cancel a request that is only wanted `while_connected` once its asker has gone."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None or not request.get("while_connected"):
        yield
        return

    def look() -> None:
        nonlocal timer
        if reader.at_eof():
            task.cancel()
        timer = loop.call_later(GONE_BEAT, look)

    timer = loop.call_later(GONE_BEAT, look)
    try:
        yield
    finally:
        timer.cancel()


def _parsed(line: bytes) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    try:
        request = json.loads(line)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        problem = 'a request is one JSON object a line, such as {"id": 1, "op": "hello"}'
        return None, {"id": None, "ok": False, "error": problem}
    return request, {"id": request.get("id")}


def _moment(text: Any) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"'to' must be an ISO-8601 moment with its offset, not {text!r}"
        ) from None
    if moment.tzinfo is None:
        raise InvalidInput(f"'to' has no offset from UTC: {text}; add +00:00")
    return to_micros(moment)
