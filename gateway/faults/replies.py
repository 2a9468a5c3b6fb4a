"""Faults of single messages on their way to a client: withheld, late, twice, wrong."""

from __future__ import annotations

from collections import deque
from dataclasses import field
from typing import Any

from gateway.codec.framing import frame
from gateway.codec.messages import Out
from gateway.engine.orders import STATUSES, WORKING, Event, OrderChanged
from gateway.faults.registry import EVERYONE, Counted, Fault, Told, fault
from gateway.session.connection import Connection
from models.domain.errors import InvalidInput

ENDS = {
    "contractDetailsEnd": Out.CONTRACT_DETAILS_END,
    "openOrderEnd": Out.OPEN_ORDER_END,
    "accountDownloadEnd": Out.ACCOUNT_DOWNLOAD_END,
    "execDetailsEnd": Out.EXECUTION_END,
    "tickSnapshotEnd": Out.TICK_SNAPSHOT_END,
    "positionEnd": Out.POSITION_END,
    "accountSummaryEnd": Out.ACCOUNT_SUMMARY_END,
    "positionMultiEnd": Out.POSITION_MULTI_END,
    "accountUpdateMultiEnd": Out.ACCOUNT_UPDATE_MULTI_END,
    "completedOrdersEnd": Out.COMPLETED_ORDERS_END,
}
ORDER_NEWS = frozenset({Out.OPEN_ORDER, Out.ORDER_STATUS})


def concerns(client: int, connection: Connection) -> bool:
    """Say whether a fault that names a client (or everyone) concerns a connection."""
    return client in {EVERYONE, connection.client_id}


@fault("withhold-end", "Leave out the message that ends a list, so that the request hangs.")
class WithholdEnd(Counted):
    """`end` is the message's name, such as openOrderEnd, or any."""

    end_message: str = "any"
    count: int = 1
    client: int = EVERYONE

    def __post_init__(self) -> None:
        """Refuse an unknown message."""
        if self.end_message not in {"any", *ENDS}:
            raise InvalidInput(
                f"fault withhold-end: end_message is any or one of {', '.join(ENDS)}"
            )

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Drop the message."""
        wanted = set(ENDS.values()) if self.end_message == "any" else {ENDS[self.end_message]}
        if told.kind not in wanted or not concerns(self.client, connection):
            return [told]
        self.strike(self.count)
        return []


@fault("drop-ack", "Never tell that a new order is working; its fills and its end are told.")
class DropAck(Counted):
    """Concerns the next `count` orders."""

    count: int = 1
    client: int = EVERYONE
    chosen: set[tuple[int | None, int]] = field(default_factory=set, init=False)

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Choose the next orders."""
        if name == "placeOrder" and concerns(self.client, connection):
            key = (connection.client_id, values["orderId"])
            if key not in self.chosen and (not self.count or len(self.chosen) < self.count):
                self.chosen.add(key)
        return False

    def happened(self, event: Event) -> list[Event]:
        """Drop what tells that a chosen order works."""
        if not isinstance(event, OrderChanged):
            return [event]
        order = event.order
        if (order.client_id, order.order_id) not in self.chosen:
            return [event]
        if order.status in WORKING:
            return []
        self.strike(self.count)
        return [event]


@fault("late-ack", "Tell openOrder and orderStatus late; executions do not wait for them.")
class LateAck(Counted):
    """Delays `count` messages by `ms` milliseconds of wall time."""

    ms: float = 500.0
    count: int = 4
    client: int = EVERYONE

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Delay the message."""
        if told.kind not in ORDER_NEWS or not concerns(self.client, connection):
            return [told]
        self.desk.delay(connection, self.ms / 1000.0, lambda: connection.put(told.frame))
        self.strike(self.count)
        return []


@fault("duplicate-status", "Send every orderStatus more than once.")
class DuplicateStatus(Counted):
    """Each of `count` messages goes out `copies` times."""

    copies: int = 2
    count: int = 0
    client: int = EVERYONE

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Repeat the message."""
        if told.kind != Out.ORDER_STATUS or not concerns(self.client, connection):
            return [told]
        self.strike(self.count)
        return [told] * max(self.copies, 1)


@fault("missing-status", "Leave out orderStatus messages, as happens for immediate fills.")
class MissingStatus(Counted):
    """`status` names the state whose messages are left out, or any."""

    status: str = "Filled"
    count: int = 1
    client: int = EVERYONE

    def __post_init__(self) -> None:
        """Refuse a status that no order has."""
        if self.status not in {"any", *STATUSES}:
            raise InvalidInput(
                f"fault missing-status: status is any or one of {', '.join(STATUSES)}"
            )

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Drop the message."""
        if told.kind != Out.ORDER_STATUS or not concerns(self.client, connection):
            return [told]
        if self.status not in {"any", told.tokens[2]}:
            return [told]
        self.strike(self.count)
        return []


@fault("slow-responses", "Delay everything that is sent, with jitter, keeping its order.")
class SlowResponses(Fault):
    """Wall milliseconds; the jitter is uniform, from the gateway's seed."""

    ms: float = 100.0
    jitter: float = 50.0
    client: int = EVERYONE
    waiting: dict[Connection, deque[bytes]] = field(default_factory=dict, init=False)

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Delay the message."""
        if not concerns(self.client, connection):
            return [told]
        delay = self.ms + self.desk.random.uniform(-self.jitter, self.jitter)
        self.waiting.setdefault(connection, deque()).append(told.frame)
        self.desk.delay(connection, max(delay, 0.0) / 1000.0, lambda: self._next(connection))
        return []

    def _next(self, connection: Connection) -> None:
        if waiting := self.waiting.get(connection):
            connection.put(waiting.popleft())

    def end(self) -> None:
        """Send what is still under way at once, so that nothing overtakes it."""
        for connection, waiting in self.waiting.items():
            for data in waiting:
                connection.put(data)
        self.waiting.clear()


@fault("clock-skew", "Answer reqCurrentTime with a clock that is wrong.")
class ClockSkew(Fault):
    """`seconds` is how far the told clock is ahead (behind when negative)."""

    seconds: int = 120

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Shift the time."""
        if told.kind != Out.CURRENT_TIME:
            return [told]
        tokens = [*told.tokens[:-1], str(int(told.tokens[-1]) + self.seconds)]
        return [Told(told.kind, tokens, frame("\0".join([*tokens, ""]).encode()))]
