"""Faults of the login: ids in use, the nightly reset, the weekly logout."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.engine.refusal import Refused
from gateway.faults.registry import EVERYONE, Counted, Fault, fault
from gateway.session.connection import Connection

IN_USE = "Unable to connect as the client id is already in use. Retry with a unique client id."


@fault("client-id-in-use", "Refuse the next connections with 326, as after an unclean end.")
class ClientIdInUse(Counted):
    """Concerns one client id, or all."""

    count: int = 1
    client: int = EVERYONE

    def asked(self, connection: Connection, name: str, values: dict[str, Any]) -> bool:
        """Refuse a start."""
        if name == "startApi" and self.client in {EVERYONE, values["clientId"]}:
            self.strike(self.count)
            raise Refused(326, IN_USE)
        return False


class Away(Fault):
    """The gateway closes every socket and lets nobody in for a while."""

    refuses_connections: ClassVar[bool] = True
    seconds: float
    wall: bool

    def begin(self) -> None:
        """Close every socket."""
        for connection in list(self.desk.connections):
            if connection.client_id is not None:
                text = "Connectivity between IB and Trader Workstation has been lost."
                connection.error(-1, 1100, text)
            connection.close()
        if self.seconds:
            self.desk.later(self.seconds, self.wall, lambda: self.desk.finish(self))


@fault("nightly-reset", "Restart as the gateway does every night: sockets close, then nobody home.")
class NightlyReset(Away):
    """`seconds` of wall time (market time with wall=false) until clients may connect again."""

    seconds: float = 5.0
    wall: bool = True


@fault("weekly-logout", "The weekly login has run out: sockets close, and wait for a person.")
class WeeklyLogout(Away):
    """Until the fault is cleared, or for `seconds` when they are given."""

    seconds: float = 0.0
    wall: bool = True
