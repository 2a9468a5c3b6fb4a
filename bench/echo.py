"""A bare TCP echo in a process of its own: what loopback and asyncio allow at best."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
SIZES = struct.Struct(">II")  # bytes of this request, bytes of the reply


class Echo(asyncio.Protocol):
    """The server's side: once a request is whole, as many bytes as it asks for."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while len(self._buffer) >= SIZES.size:
            size, reply = SIZES.unpack_from(self._buffer)
            if len(self._buffer) < size:
                return
            del self._buffer[:size]
            self._transport.write(bytes(reply))


class EchoClient(asyncio.Protocol):
    """The client's side: one request at a time."""

    _missing = 0
    _whole: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count down what the reply still lacks."""
        self._missing -= len(data)
        if self._missing <= 0 and not self._whole.done():
            self._whole.set_result(None)

    async def round_trip(self, request: int, reply: int) -> None:
        """Send `request` bytes (at least SIZES.size) and wait for `reply` bytes."""
        self._whole = asyncio.get_running_loop().create_future()
        self._missing = reply
        self.transport.write(SIZES.pack(request, reply) + bytes(request - SIZES.size))
        await self._whole


@asynccontextmanager
async def running_echo() -> AsyncGenerator[int, None]:
    """Start the echo's process; give its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.echo", stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def connect_echo(port: int) -> EchoClient:
    """Open a connection to the echo."""
    _, client = await asyncio.get_running_loop().create_connection(EchoClient, HOST, port)
    return client


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
