"""What a gateway is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

from gateway.limits import PacingLimits, SocketLimits
from models.domain.errors import InvalidInput

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
ACCOUNT = "SIM0000001"
MIN_VERSION, MAX_VERSION = 157, 178


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Settings of one gateway process.

    `speed` is market seconds per wall second; `clock` is `held` (market time moves only when every
    holder asks for it), `step` (the same, as fast as it can be worked) or `free`; `source` is what
    is played and `market_data` whether clients see it live or delayed by 15 minutes; `cash` is the
    opening balance in USD; `start` is the first session to play (None: the usual one of the
    source); `faults` is a script of faults to come.
    Raises InvalidInput for a value that cannot be used.
    """

    state_dir: Path
    host: str = "127.0.0.1"
    port: int = 4999
    control_port: int = 4998
    seed: int = 7
    speed: float = 60.0
    clock: str = "held"
    server_version: int = MAX_VERSION
    master_client_id: int | None = None
    cash: Decimal = field(default_factory=lambda: Decimal(100_000))
    start: date | None = None
    reset: bool = False
    source: str = "simulated"
    market_data: str = "live"
    faults: Path | None = None
    pacing: PacingLimits = field(default_factory=PacingLimits)
    sockets: SocketLimits = field(default_factory=SocketLimits)

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the option, the value and what is allowed."""
        if self.host not in LOOPBACK:
            raise InvalidInput(
                f"--host {self.host} is refused: this gateway serves the loopback interface only; "
                f"use 127.0.0.1"
            )
        for name, port in (("--port", self.port), ("--control-port", self.control_port)):
            if not 0 <= port <= 65535:
                raise InvalidInput(f"{name} {port} is no TCP port; give one from 1 to 65535")
        if self.port and self.port == self.control_port:
            raise InvalidInput(f"--port and --control-port are both {self.port}; give two ports")
        if not 0.01 <= self.speed <= 3600:
            raise InvalidInput(f"--speed {self.speed} is out of range; give 0.01 to 3600")
        if self.clock not in {"held", "free", "step"}:
            raise InvalidInput(f"--clock {self.clock} is unknown; give held, free or step")
        if self.market_data not in {"live", "delayed"}:
            raise InvalidInput(f"--market-data {self.market_data} is unknown; give live or delayed")
        if not MIN_VERSION <= self.server_version <= MAX_VERSION:
            raise InvalidInput(
                f"--server-version {self.server_version} is not spoken; "
                f"give {MIN_VERSION} to {MAX_VERSION}"
            )
        if not 0 <= self.seed < 2**31:
            raise InvalidInput(f"--seed {self.seed} is out of range; give 0 to 2147483647")
        if not 1 <= self.cash <= 10**12:
            raise InvalidInput(f"--cash {self.cash} is out of range; give 1 to 1000000000000 USD")
