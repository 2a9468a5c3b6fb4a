"""Market time: the wall clock, or the simulated gateway's clock over its control socket.

The control socket speaks JSON lines: {"id", "op", ...} is answered by {"id", "ok", ...}. A client
that holds the clock makes market time stop for it, and lets it run to a named moment.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from models.domain.clock import Clock
from models.domain.errors import InvalidInput
from tasks.broker.protocol import GatewayUnreachable

CONTROL_TIMEOUT = 10.0


class WallClock:
    """Real time, for paper and live accounts: read once, and then by what has elapsed.

    A system clock that is stepped, back or forth, moves no schedule; `stepped` tells of it.
    """

    def __init__(
        self,
        system: Callable[[], datetime] = lambda: datetime.now(UTC),
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._system, self._elapsed = system, elapsed
        self._began, self._since = system(), elapsed()
        self._granted = 0.0

    def now(self) -> datetime:
        """Return the present time (UTC)."""
        return self._began + timedelta(seconds=self._elapsed() - self._since)

    @property
    def stepped(self) -> float:
        """The seconds that the system clock has gone ahead of the elapsed time (behind: below 0).

        Those that were taken for granted are left out.
        """
        return (self._system() - self.now()).total_seconds() - self._granted

    def take_for_granted(self) -> None:
        """Count `stepped` from here on."""
        self._granted += self.stepped

    async def sleep_until(self, moment: datetime) -> None:
        """Sleep in steps of at most a minute."""
        while (remaining := (moment - self.now()).total_seconds()) > 0:
            await asyncio.sleep(min(remaining, 60.0))

    def wall_seconds_until(self, moment: datetime) -> float:
        """Return the seconds until `moment`."""
        return max(0.0, (moment - self.now()).total_seconds())

    @property
    def is_open(self) -> bool:
        """Say that it runs: always."""
        return True

    @property
    def wall_seconds_per_second(self) -> float:
        """One: market time is real time."""
        return 1.0

    async def close(self) -> None:
        """Do nothing: the wall clock needs no connection."""


class GatewayClock:
    """The simulated gateway's market clock, held by this client between the moments it asks for."""

    def __init__(self, host: str, port: int, name: str) -> None:
        self._host, self._port, self._name = host, port, name
        self._now = datetime.min.replace(tzinfo=UTC)
        self._speed = 1.0
        self._ids = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> GatewayClock:
        """Connect and hold the clock; raise GatewayUnreachable when no gateway answers."""
        try:
            self._reader, self._writer = await asyncio.wait_for(
                asyncio.open_connection(self._host, self._port), CONTROL_TIMEOUT
            )
        except (OSError, TimeoutError) as error:
            raise _unreachable(self._host, self._port) from error
        reply = await self._ask({"op": "hold", "name": self._name}, CONTROL_TIMEOUT)
        hello = await self._ask({"op": "hello"}, CONTROL_TIMEOUT)
        self._speed = float(hello["speed"])
        self._now = datetime.fromisoformat(reply.get("now") or hello["now"])
        return self

    def now(self) -> datetime:
        """Return the market time at which the clock stands for this client (UTC)."""
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        """Let market time run to `moment`; every market event before it has then been sent."""
        if moment <= self._now:
            return
        patience = CONTROL_TIMEOUT + 3 * self.wall_seconds_until(moment)
        reply = await self._ask({"op": "advance", "to": moment.isoformat()}, patience)
        self._now = datetime.fromisoformat(reply["now"])

    def wall_seconds_until(self, moment: datetime) -> float:
        """Estimate the real seconds until `moment`; closed hours count in full, so at most that."""
        return max(0.0, (moment - self._now).total_seconds()) / self._speed

    @property
    def is_open(self) -> bool:
        """Say whether the connection to the gateway's clock is there."""
        return self._writer is not None

    @property
    def wall_seconds_per_second(self) -> float:
        """The real seconds that a second of market time takes."""
        return 1.0 / self._speed

    async def close(self) -> None:
        """Let go of the clock."""
        if self._writer is not None:
            self._writer.close()
            self._reader = self._writer = None

    async def _ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        if self._reader is None or self._writer is None:
            raise _unreachable(self._host, self._port)
        self._ids += 1
        try:
            self._writer.write(json.dumps({"id": self._ids, **request}).encode() + b"\n")
            await self._writer.drain()
            line = await asyncio.wait_for(self._reader.readline(), timeout)
        except TimeoutError as error:
            await self.close()  # its late answer must not be taken for that of another request
            raise GatewayUnreachable(
                f"the gateway's clock on {self._host}:{self._port} did not answer "
                f"{request['op']!r} within {timeout:.0f} s; see `robo gateway status`: another "
                "holder may keep market time from going on, or the gateway hangs"
            ) from error
        except OSError as error:
            await self.close()
            raise _unreachable(self._host, self._port) from error
        return _reply(line, self._host, self._port)


async def open_clock(
    kind: str, host: str, control_port: int, name: str
) -> WallClock | GatewayClock:
    """Return the clock that the settings name: `wall`, or `gateway` (held from now on)."""
    if kind == "wall":
        return WallClock()
    return await GatewayClock(host, control_port, name).open()


def ask_control(
    host: str, port: int, request: dict[str, Any], timeout: float = 10.0
) -> dict[str, Any]:
    """Ask the gateway's control socket one thing and return its answer (blocking).

    Raises GatewayUnreachable when nothing answers within `timeout` seconds, InvalidInput when the
    gateway refuses the request.
    """
    try:
        with socket.create_connection((host, port), timeout) as link:
            link.sendall(json.dumps({"id": 1, **request}).encode() + b"\n")
            with link.makefile("rb") as stream:
                return _reply(stream.readline(), host, port)
    except OSError as error:
        raise _unreachable(host, port) from error


def market_now(kind: str, host: str, control_port: int) -> datetime:
    """Return the present market time (UTC) of the clock that the settings name."""
    if kind == "wall":
        return datetime.now(UTC)
    return datetime.fromisoformat(ask_control(host, control_port, {"op": "time"})["now"])


def _reply(line: bytes, host: str, port: int) -> dict[str, Any]:
    if not line:
        raise _unreachable(host, port)
    try:
        reply = json.loads(line)
    except ValueError as error:
        raise InvalidInput(
            f"what answers on {host}:{port} is no gateway's control port; set ROBO_CONTROL_PORT "
            "to the one that `robo gateway run` printed"
        ) from error
    if not reply.get("ok"):
        raise InvalidInput(f"the gateway refused: {reply.get('error', 'no reason given')}")
    return reply


def _unreachable(host: str, port: int) -> GatewayUnreachable:
    return GatewayUnreachable(
        f"no simulated gateway answers on {host}:{port} (its control port); start one with "
        "`robo gateway run`, or set ROBO_CONTROL_PORT to the port that it printed"
    )


_: type[Clock] = WallClock
_ = GatewayClock
