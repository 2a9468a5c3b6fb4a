"""Faults of the line: between the gateway and Interactive Brokers, and between it and clients."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from gateway.codec.messages import Out
from gateway.engine.refusal import Refused
from gateway.faults.registry import EVERYONE, Counted, Fault, Told, fault
from gateway.faults.replies import concerns
from gateway.session.connection import Connection
from gateway.session.depth_requests import RESET
from models.domain.errors import InvalidInput

DATA = frozenset(
    (
        *(Out.TICK_PRICE, Out.TICK_SIZE, Out.TICK_GENERIC, Out.TICK_STRING, Out.TICK_BY_TICK),
        *(Out.MARKET_DEPTH, Out.MARKET_DEPTH_L2, Out.REAL_TIME_BAR, Out.HISTORICAL_UPDATE),
    )
)
LOCAL = frozenset({Out.ERROR, Out.NEXT_VALID_ID, Out.MANAGED_ACCOUNTS, Out.CURRENT_TIME})
RESTORED = {
    "1101": "Connectivity between IB and Trader Workstation has been restored - data lost.",
    "1102": "Connectivity between IB and Trader Workstation has been restored - data maintained. "
    "All data farms are connected: usfarm; ushmds; secdefnj.",
}
FARMS = {
    "market": (2103, 2104, "Market data farm connection is {}:usfarm"),
    "history": (2105, 2106, "HMDS data farm connection is {}:ushmds"),
    "definitions": (2157, 2158, "Sec-def data farm connection is {}:secdefnj"),
}


def reset_depth(connection: Connection) -> None:
    """Tell 317, and forget what was told of every book that a client follows."""
    for depth in connection.subscriptions.depth.values():
        connection.error(depth.request_id, 317, RESET)
        depth.bids.clear()
        depth.asks.clear()


def tell_data_anew(connection: Connection) -> None:
    """Let a client hear all of its quotes and books again: what was dropped counted as told."""
    for quotes in connection.subscriptions.quotes.values():
        quotes.sent.clear()
        quotes.sent_at = -1
    reset_depth(connection)


@fault("connectivity-lost", "Lose the line to Interactive Brokers: 1100, then 1101 or 1102.")
class ConnectivityLost(Fault):
    """Meanwhile data stops and all else waits; orders are worked, and told of at the end.

    `restore` is 1102 (data maintained), 1101 (data lost: every data subscription is gone) or none;
    `seconds` counts market time, wall time with wall=true; 0 seconds: until it is cleared.
    """

    restore: str = "1102"
    seconds: float = 30.0
    wall: bool = False
    waiting: dict[Connection, list[bytes]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Refuse an unknown restoration."""
        if self.restore not in {*RESTORED, "none"}:
            raise InvalidInput("fault connectivity-lost: restore is 1101, 1102 or none")

    def begin(self) -> None:
        """Tell 1100."""
        for connection in self.desk.clients:
            text = "Connectivity between IB and Trader Workstation has been lost."
            connection.error(-1, 1100, text)
        if self.seconds:
            self.desk.later(self.seconds, self.wall, lambda: self.desk.finish(self))

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Let pass what the gateway says of its own; drop data; keep the rest."""
        if told.kind in LOCAL:
            return [told]
        if told.kind not in DATA:
            kept = self.waiting.setdefault(connection, [])
            kept.append(told.frame)
            if len(kept) % 1024 == 0 and sum(map(len, kept)) > connection.most_backlog:
                connection.abort()
        return []

    def end(self) -> None:
        """Tell that the line is back, and what has waited."""
        for connection in self.desk.clients:
            if self.restore in RESTORED:
                connection.error(-1, int(self.restore), RESTORED[self.restore])
            if self.restore == "1101":
                self.desk.lose_data(connection)
            tell_data_anew(connection)
            for data in self.waiting.pop(connection, []):
                connection.send(data)
        self.waiting.clear()


@fault("kill-socket", "Cut the API socket without a goodbye (TCP reset).")
class KillSocket(Fault):
    """Cuts one client's socket, or everyone's."""

    client: int = EVERYONE

    def begin(self) -> None:
        """Cut."""
        for connection in list(self.desk.connections):
            if concerns(self.client, connection):
                connection.abort()
        self.desk.finish(self)


@fault("half-open-socket", "Leave the socket open and say nothing more on it, hear nothing either.")
class HalfOpenSocket(Fault):
    """The client's connection stays dead after the fault is cleared; a new one works."""

    client: int = EVERYONE

    def begin(self) -> None:
        """Fall silent."""
        for connection in list(self.desk.connections):
            if concerns(self.client, connection):
                connection.deaf = True
        self.desk.finish(self)


@fault("farm-broken", "Lose a data farm: 2103, 2105 or 2157, and its OK after a while.")
class FarmBroken(Fault):
    """`farm` is market (quotes stop), history (requests are refused) or definitions."""

    farm: str = "market"
    seconds: float = 60.0
    wall: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown farm."""
        if self.farm not in FARMS:
            raise InvalidInput(f"fault farm-broken: farm is one of {', '.join(FARMS)}")

    def begin(self) -> None:
        """Tell that it is broken."""
        broken, _, text = FARMS[self.farm]
        for connection in self.desk.clients:
            connection.error(-1, broken, text.format("broken"))
        if self.seconds:
            self.desk.later(self.seconds, self.wall, lambda: self.desk.finish(self))

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Refuse history while its farm is away."""
        if self.farm == "history" and name in {"reqHistoricalData", "reqHistoricalTicks"}:
            raise Refused(
                162,
                "Historical Market Data Service error message:HMDS server disconnect occurred.  "
                "Attempting reconnection...",
            )
        return False

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Drop quotes while their farm is away."""
        return [] if self.farm == "market" and told.kind in DATA else [told]

    def end(self) -> None:
        """Tell that it is back."""
        _, back, text = FARMS[self.farm]
        for connection in self.desk.clients:
            connection.error(-1, back, text.format("OK"))
            if self.farm == "market":
                tell_data_anew(connection)


@fault("depth-reset", "Reset market depth: 317, then every row again as market time goes on.")
class DepthReset(Fault):
    """Concerns every depth subscription of one client, or of everyone."""

    client: int = EVERYONE

    def begin(self) -> None:
        """Tell 317, and forget what was told of every book."""
        for connection in self.desk.clients:
            if concerns(self.client, connection):
                reset_depth(connection)
        self.desk.finish(self)


@fault("competing-session", "Another session of the same user takes the data: 10197, data stops.")
class CompetingSession(Fault):
    """Data comes back when the fault is over; 0 seconds: when it is cleared."""

    seconds: float = 0.0
    wall: bool = False

    def begin(self) -> None:
        """Tell every subscription."""
        for connection in self.desk.clients:
            for request_id in list(connection.subscriptions.quotes):
                connection.error(request_id, 10197, "No market data during competing live session")
        if self.seconds:
            self.desk.later(self.seconds, self.wall, lambda: self.desk.finish(self))

    def told(self, connection: Connection, told: Told) -> list[Told]:
        """Drop quotes."""
        return [] if told.kind in DATA else [told]

    def end(self) -> None:
        """Let the data come back."""
        for connection in self.desk.clients:
            tell_data_anew(connection)


@fault("pacing-violation", "Refuse requests as if they came too fast: 162, or 100 and a close.")
class PacingViolation(Counted):
    """162 refuses `count` history requests; 100 is told at once, and the socket closed."""

    code: int = 162
    count: int = 1
    client: int = EVERYONE

    def __post_init__(self) -> None:
        """Refuse another code."""
        if self.code not in {100, 162}:
            raise InvalidInput("fault pacing-violation: code is 162 or 100")

    def begin(self) -> None:
        """Tell 100 and close."""
        if self.code == 100:
            for connection in self.desk.clients:
                if concerns(self.client, connection):
                    connection.error(
                        -1,
                        100,
                        "Max rate of messages per second has been exceeded:max=50 rec=151 (3)",
                    )
                    connection.close()
            self.desk.finish(self)

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Refuse history."""
        if name == "reqHistoricalData" and concerns(self.client, connection):
            self.strike(self.count)
            raise Refused(
                162,
                "Historical Market Data Service error message:"
                "Historical data request pacing violation",
            )
        return False


@fault(
    "late-orders", "Work new orders late, as if long under way, even when their client has gone."
)
class LateOrders(Counted):
    """Each of `count` orders is worked `ms` milliseconds of wall time after it has arrived."""

    ms: float = 100.0
    count: int = 0
    client: int = EVERYONE

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Put a new order aside."""
        if name != "placeOrder" or not concerns(self.client, connection):
            return False
        self.strike(self.count)
        work = self.desk.work
        self.desk.later(self.ms / 1000.0, True, lambda: work(connection, name, values))
        return True
