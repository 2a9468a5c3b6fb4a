"""One TCP connection of an API client: handshake, frames in, messages out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gateway.codec.framing import FrameError, FrameReader, frame, tokens_of
from gateway.codec.messages import Out, message
from gateway.limits import SocketLimits
from gateway.options import MIN_VERSION
from gateway.timeline import new_york

if TYPE_CHECKING:
    from gateway.session.subscriptions import Subscriptions

MOST_BACKLOG = 64 << 20  # bytes that a client may leave unread before it is cut off
HANDSHAKE_SECONDS = 10.0  # wall seconds that a client has to say which versions it speaks
BUSY_BACKLOG = 256 << 10  # bytes beyond which market data waits

log = logging.getLogger("gateway.session")


class Host(Protocol):
    """What a connection needs of the gateway behind it."""

    @property
    def server_version(self) -> int:
        """The newest protocol version that this gateway speaks."""
        ...

    @property
    def now(self) -> int:
        """Market time in microseconds."""
        ...

    def handle(self, connection: Connection, tokens: list[str]) -> None:
        """Work one message."""
        ...

    def joined(self, connection: Connection) -> None:
        """Note a new connection."""
        ...

    def left(self, connection: Connection) -> None:
        """Note that a connection ended."""
        ...


class Connection(asyncio.Protocol):
    """One API client. `version` is the negotiated one; `client_id` is None until startApi.

    Faults take hold here: `filter` sees whatever is sent, a `deaf` connection neither hears nor
    speaks.
    """

    subscriptions: Subscriptions
    filter: Callable[[Connection, bytes], None] | None = None
    deaf = False

    def __init__(self, host: Host, limits: SocketLimits | None = None) -> None:
        self._host = host
        self._limits = limits or SocketLimits()
        self.most_backlog = self._limits.backlog_mb << 20  # bytes that a client may leave unread
        self._transport: asyncio.Transport | None = None
        self._greeting = b""
        self._greeted = False
        self._frames = FrameReader()
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self.version = 0
        self.client_id: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._deadline = self._loop.call_later(self._limits.handshake_seconds, self._too_slow)
        self._host.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the socket."""
        self._transport = None
        self._deadline.cancel()
        self._host.left(self)

    def _too_slow(self) -> None:
        if not self.version:
            log.warning(
                "closing a connection: no handshake in %g s", self._limits.handshake_seconds
            )
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Cut what arrived into messages and work them."""
        if self.deaf:
            return
        try:
            if not self._greeted:
                data = self._greet(data)
            for payload in self._frames.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                if self.version:
                    self._host.handle(self, tokens_of(payload))
                else:
                    self._negotiate(payload)
        except FrameError as error:
            log.warning("closing a connection: %s", error)
            self.close()

    def _greet(self, data: bytes) -> bytes:
        self._greeting += data
        if not b"API\0".startswith(self._greeting[:4]):
            raise FrameError("the connection does not begin with 'API'")
        if len(self._greeting) < 4:
            return b""
        self._greeted = True
        return self._greeting[4:]

    def _negotiate(self, payload: bytes) -> None:
        text = payload.decode("ascii", errors="replace").split(" ")[0].rstrip("\0")
        first, _, last = text.removeprefix("v").partition("..")
        if not first.isdigit() or not (last or first).isdigit():
            raise self._out_of_range(f"no version range in {text[:40]!r}")
        version = min(int(last or first), self._host.server_version)
        if version < max(int(first), MIN_VERSION):
            raise self._out_of_range(f"the client speaks {text[:40]}")
        self.version = version
        stamp = f"{new_york(self._host.now):%Y%m%d %H:%M:%S %Z}"
        self.put(frame(f"{version}\0{stamp}\0".encode()))

    def _out_of_range(self, problem: str) -> FrameError:
        """Tell a client which versions are spoken here, while it can still hear it."""
        spoken = f"{MIN_VERSION}..{self._host.server_version}"
        text = f"{problem}; this gateway speaks versions {spoken} of the API"
        self.error(-1, 503, f"Your version of TWS is out of date and must be upgraded: {text}.")
        return FrameError(text)

    def send(self, data: bytes) -> None:
        """Send one or more framed messages, as far as the faults at work let them pass."""
        if self.filter is not None and self.version:
            self.filter(self, data)
        elif self._out and not self.deaf:  # the short way of all but the first in a turn
            self._out.append(data)
        else:
            self.put(data)

    def put(self, data: bytes) -> None:
        """Queue bytes; they are written together at the loop's next turn."""
        if self._transport is None or self.deaf:
            return
        if not self._out:
            self._loop.call_soon(self.write)
        self._out.append(data)

    def write(self) -> None:
        """Write what is queued."""
        if self._out and self._transport is not None:
            data = b"".join(self._out)
            self._out.clear()
            self._transport.write(data)
            if self.backlog > self.most_backlog:
                log.warning("cutting off client %s: it reads nothing", self.client_id)
                self._transport.abort()
        self._out.clear()

    @property
    def backlog(self) -> int:
        """Bytes that the client has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def is_slow(self) -> bool:
        """Say whether market data should wait for this client."""
        return self.backlog > BUSY_BACKLOG

    def error(self, request_id: int, code: int, text: str) -> None:
        """Send an error message; -1 names no request."""
        fields = [2, request_id, code, text]
        if self.version >= 166:
            fields.append("")
        self.send(message(Out.ERROR, *fields))

    def abort(self) -> None:
        """Cut the connection: what is queued is lost, and the client sees a reset."""
        self._out.clear()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Write what is queued and close; cut off who takes longer for it than a handshake."""
        self.write()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._deadline.cancel()
            self._deadline = self._loop.call_later(self._limits.handshake_seconds, self.abort)
