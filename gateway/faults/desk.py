"""Where faults are set, triggered and asked: between the engine, the clients and the clock."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.codec.framing import FrameReader, frame, tokens_of
from gateway.engine.edge import Edge, Fills
from gateway.engine.exchange import Exchange
from gateway.engine.orders import Event, Execution, Order
from gateway.faults import link, money, orders, replies, sessions  # noqa: F401 - they register
from gateway.faults.registry import Fault, Told
from gateway.faults.triggers import Trigger
from gateway.timeline import SECOND

if TYPE_CHECKING:
    from gateway.session.connection import Connection

log = logging.getLogger("gateway.faults")


@dataclass(frozen=True, slots=True, eq=False)
class Due:
    """A place among the events at which something is done, in its order."""

    call: Callable[[], None]


class FaultDesk(Edge):
    """The faults of one gateway. The same seed and the same client actions meet the same faults."""

    def __init__(self, exchange: Exchange, seed: int, connections: list[Connection]) -> None:
        self.exchange = exchange
        self.connections = connections
        self.random = random.Random(f"faults-{seed}")  # noqa: S311 - not for secrets
        self.active: list[Fault] = []
        self.lose_data: Callable[[Connection], None] = lambda _connection: None
        self.work: Callable[[Connection, str, dict[str, Any]], None] = lambda *_request: None
        self._engaged: list[Fault] = []
        self._waiting: list[Trigger] = []
        self._timed: list[Trigger] = []
        self._passed: set[int] = set()
        self._lanes: dict[Connection, float] = {}
        self._count = 0
        exchange.edge = self

    @property
    def clients(self) -> list[Connection]:
        """The connections that have named their client id."""
        return [c for c in self.connections if c.client_id is not None]

    # -- setting -------------------------------------------------------------------------------

    def arm(self, triggers: Iterable[Trigger]) -> None:
        """Set faults to begin when their triggers say."""
        for trigger in triggers:
            moment = trigger.moment(self.exchange.now)
            if moment is None:
                self._waiting.append(trigger)
            elif trigger.at and moment < self.exchange.now:
                log.warning("fault %s was due at %s, which is past", trigger.fault, trigger.at)
            elif moment <= self.exchange.now:
                self.begin(trigger.made())
            else:
                self._timed.append(trigger)
                self.at(moment, lambda due=trigger: self._ring(due))

    def _ring(self, trigger: Trigger) -> None:
        if trigger not in self._timed:
            return  # cleared meanwhile
        self._begin_in_order(trigger.made())
        again = trigger.moment(self.exchange.now) if trigger.daily else None
        if again is None:
            self._timed.remove(trigger)
        else:
            self.at(again, lambda: self._ring(trigger))

    def begin(self, fault: Fault) -> int:
        """Begin a fault at once; return its number."""
        self._engage(fault)
        self._activate(fault)
        return fault.number

    def _begin_in_order(self, fault: Fault) -> None:
        """Begin a fault for the engine now, and for clients behind all that happened before."""
        self._engage(fault)
        due: Any = Due(lambda: self._activate(fault))
        self.exchange.changes.events.append(due)

    def _engage(self, fault: Fault) -> None:
        self._count += 1
        fault.desk, fault.number, fault.since = self, self._count, self.exchange.now
        self._engaged.append(fault)

    def _activate(self, fault: Fault) -> None:
        if fault in self._engaged:
            self.active.append(fault)
            self._refilter()
            fault.begin()

    def finish(self, fault: Fault) -> None:
        """End a fault."""
        if fault in self._engaged:
            self._engaged.remove(fault)
            if fault in self.active:
                self.active.remove(fault)
            self._refilter()
            fault.end()

    def clear(self) -> int:
        """End every fault and forget every trigger; return how many faults ended."""
        self._waiting.clear()
        self._timed.clear()
        ended = list(self._engaged)
        for fault in ended:
            self.finish(fault)
        return len(ended)

    def shown(self) -> list[dict[str, Any]]:
        """Return the faults at work and those that wait for a trigger."""
        waiting = [*self._waiting, *self._timed]
        return [f.shown() for f in self._engaged] + [t.shown() for t in waiting]

    # -- time ----------------------------------------------------------------------------------

    def at(self, moment: int, call: Callable[[], None]) -> None:
        """Call at an exact market moment (microseconds)."""
        self.exchange.alarms.at(moment, call)

    def later(self, seconds: float, wall: bool, call: Callable[[], None]) -> None:
        """Call after seconds of market time (in order with its events) or of wall time."""
        if wall:
            asyncio.get_running_loop().call_later(seconds, call)
        else:
            self.at(self.exchange.now + int(seconds * SECOND), lambda: self._in_order(call))

    def _in_order(self, call: Callable[[], None]) -> None:
        due: Any = Due(call)
        self.exchange.changes.events.append(due)

    def release(self, moment: int, event: Event) -> None:
        """Tell an event that was held back at a market moment, past every fault."""
        self.at(moment, lambda: self.tell(event))

    def tell(self, event: Event) -> None:
        """Tell an event that was held back, past every fault, behind what has happened so far."""
        self._passed.add(id(event))
        self.exchange.changes.events.append(event)

    # -- what passes ---------------------------------------------------------------------------

    def joined(self, connection: Connection) -> None:
        """Note a new connection."""
        if any(fault.refuses_connections for fault in self.active):
            asyncio.get_running_loop().call_soon(connection.abort)
        self._trigger("connect")
        self._refilter()

    def left(self, connection: Connection) -> None:
        """Note that a connection ended."""
        self._lanes.pop(connection, None)

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Show a request to triggers and faults; True when it has been swallowed."""
        if self._waiting:
            self._trigger(name)
        swallowed = False
        for fault in list(self.active):
            swallowed |= fault.asked(connection, name, values)
        return swallowed

    def passed(self, event: Event | Due) -> list[Event]:
        """Return what is told of one event."""
        if isinstance(event, Due):
            event.call()
            return []
        if id(event) in self._passed:
            self._passed.discard(id(event))
            return [event]
        events = [event]
        for fault in list(self.active):
            events = [out for one in events for out in fault.happened(one)]
        return events

    def filter(self, connection: Connection, data: bytes) -> None:
        """Send messages as the faults let them pass."""
        for payload in FrameReader().feed(data):
            tokens = tokens_of(payload)
            kind = int(tokens[0]) if tokens[0].isdigit() else -1
            messages = [Told(kind, tokens, frame(payload))]
            for fault in list(self.active):
                if fault.filters:
                    messages = [out for one in messages for out in fault.told(connection, one)]
            for message in messages:
                connection.put(message.frame)

    def delay(self, connection: Connection, seconds: float, send: Callable[[], None]) -> None:
        """Send something later (wall seconds), never before what was delayed earlier."""
        loop = asyncio.get_running_loop()
        due = max(loop.time() + seconds, self._lanes.get(connection, 0.0) + 1e-6)
        self._lanes[connection] = due
        loop.call_at(due, send)

    def _refilter(self) -> None:
        wanted = any(fault.filters for fault in self.active)
        for connection in self.connections:
            connection.filter = self.filter if wanted else None

    def _trigger(self, name: str) -> None:
        for trigger in [t for t in self._waiting if t.on == name]:
            if trigger.fires():
                self._waiting.remove(trigger)
                self.begin(trigger.made())

    # -- the engine's questions ----------------------------------------------------------------

    def veto(self, order: Order) -> str | None:
        """Ask the faults why an order is rejected."""
        return next((text for f in list(self._engaged) if (text := f.veto(order))), None)

    def hold(self, order: Order) -> bool:
        """Ask the faults whether an order is kept back."""
        return any(fault.hold(order) for fault in list(self._engaged))

    def thin(self, order: Order, fills: Fills) -> Fills:
        """Ask the faults what an arriving order gets."""
        for fault in list(self._engaged):
            fills = fault.thin(order, fills)
        return fills

    def filled(self, execution: Execution) -> None:
        """Show a fill to the faults and to triggers."""
        for trigger in [t for t in self._waiting if t.on == "execution"]:
            if trigger.fires():
                self._waiting.remove(trigger)
                self._begin_in_order(trigger.made())
        for fault in list(self._engaged):
            fault.filled(execution)
