"""A connection that is closed while its client reads nothing: it does not stay for ever."""

import asyncio

import pytest

from gateway.limits import SocketLimits
from gateway.session.connection import Connection

UNREAD = 48 << 20  # bytes: more than the system takes, less than a client may leave unread


class Onlooker:
    """What a connection tells the gateway behind it."""

    server_version, now = 178, 0

    def __init__(self):
        self.connections, self.ended = asyncio.Queue(), asyncio.Event()

    def joined(self, connection):
        self.connections.put_nowait(connection)

    def left(self, connection):
        self.ended.set()


@pytest.fixture
async def met():
    """A connection over a real socket, who watches it, and the client's end of it."""
    host = Onlooker()
    limits = SocketLimits(handshake_seconds=0.2)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(host, limits), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=4096)
    writer.write(b"API\0\0\0\0\x09v157..178")
    await reader.read(4)
    yield await host.connections.get(), host, reader
    writer.transport.abort()
    server.close()


async def test_who_does_not_read_the_last_words_is_cut_off(met):
    connection, host, _ = met
    connection.put(bytes(UNREAD))
    connection.close()
    assert not host.ended.is_set()
    await asyncio.wait_for(host.ended.wait(), 20)
    connection.abort()  # and nothing is left to cut


async def test_who_reads_gets_all_of_them(met):
    connection, host, reader = met
    connection.put(b"the last words")
    connection.close()
    assert (await reader.read()).endswith(b"the last words")
    await asyncio.wait_for(host.ended.wait(), 20)
