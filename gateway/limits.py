"""The limits that a client is held to; each is an option of the gateway."""

from __future__ import annotations

from dataclasses import dataclass, fields

from models.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class PacingLimits:
    """The limits of a user without boosters, as Interactive Brokers documents them; 0 lifts one.

    `history_requests` is for bars of 30 seconds and less, in ten minutes; lines are of distinct
    instruments; `tick_by_tick_seconds` is the wait between two requests for one kind of tick of one
    instrument; `active_orders` is for each contract and side.
    """

    messages_per_second: int = 50
    market_data_lines: int = 100
    depth_lines: int = 3
    tick_by_tick_lines: int = 3
    tick_by_tick_seconds: int = 15
    history_requests: int = 60
    open_histories: int = 50
    active_orders: int = 20

    def __post_init__(self) -> None:
        """Refuse negative limits."""
        for limit in fields(self):
            if getattr(self, limit.name) < 0:
                name = limit.name.replace("_", "-")
                raise InvalidInput(f"--{name} is negative; give a limit, or 0 to lift it")


UNLIMITED = PacingLimits(0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What a socket may cost: wall seconds for its handshake, megabytes that it leaves unread."""

    handshake_seconds: float = 10.0
    backlog_mb: int = 64

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0.1 <= self.handshake_seconds <= 3600:
            raise InvalidInput(
                f"--handshake-seconds {self.handshake_seconds} is out of range; give 0.1 to 3600"
            )
        if not 1 <= self.backlog_mb <= 4096:
            raise InvalidInput(f"--backlog-mb {self.backlog_mb} is out of range; give 1 to 4096")
