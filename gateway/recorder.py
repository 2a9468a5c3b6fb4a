"""A proxy between a client and a gateway that saves what both say, with accounts masked."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from gateway.codec.framing import FrameError, FrameReader, tokens_of
from gateway.codec.messages import Out
from models.domain.errors import InvalidInput, RetryLater

HOST = "127.0.0.1"
CHUNK = 1 << 16
HELLO = b"API\0"
ACCOUNT_LIKE = re.compile(r"\b(?:SIM|D?[UFI])[A-Z]?\d{5,10}\b")

log = logging.getLogger("gateway.recorder")


class Masker:
    """Replaces account ids, each by its own name: those that look like one, and those told."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, accounts: str) -> None:
        """Take the accounts that the gateway says it manages."""
        for account in filter(None, accounts.split(",")):
            self._name(account)

    def mask(self, text: str) -> str:
        """Return a field without account ids."""
        for account, name in self._names.items():
            if account in text:
                text = text.replace(account, name)
        return ACCOUNT_LIKE.sub(lambda found: self._name(found.group()), text)

    def _name(self, account: str) -> str:
        return self._names.setdefault(account, f"ACCOUNT{len(self._names) + 1}")


class Tape:
    """The recording of one connection: a JSON object a line, wall seconds since it began."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._masker = Masker()
        self._readers = {"client": FrameReader(), "gateway": FrameReader()}
        self._greeting: bytes | None = b""

    def heard(self, side: str, data: bytes) -> None:
        """Record bytes of one side; what is no frame is noted and the side given up."""
        if side not in self._readers:
            return
        try:
            if side == "client" and self._greeting is not None:
                self._greeting += data
                if len(self._greeting) < len(HELLO):
                    return
                if not self._greeting.startswith(HELLO):
                    raise FrameError("the client does not begin with 'API'")
                data, self._greeting = self._greeting[len(HELLO) :], None
            for payload in self._readers[side].feed(data):
                self._write(side, payload)
        except FrameError as error:
            del self._readers[side]
            self._line({"from": side, "unreadable": str(error)})

    def _write(self, side: str, payload: bytes) -> None:
        if not payload.endswith(b"\0"):  # the client's versions, which no NUL ends
            self._line({"from": side, "versions": payload.decode("ascii", errors="replace")})
            return
        fields = tokens_of(payload)
        if side == "gateway" and fields[0] == str(int(Out.MANAGED_ACCOUNTS)):
            self._masker.learn(fields[-1])
        self._line({"from": side, "fields": [self._masker.mask(text) for text in fields]})

    def _line(self, line: dict[str, Any]) -> None:
        stamped = {"t": round(time.monotonic() - self._began, 6), **line}
        self._stream.write(json.dumps(stamped, ensure_ascii=False) + "\n")
        self._stream.flush()


class Recorder:
    """Records every connection to `target` (HOST:PORT) into a file of its own in `folder`.

    Raises InvalidInput for a target that is none, RetryLater when the port cannot be listened on.
    """

    def __init__(self, target: str, folder: Path) -> None:
        host, _, port = target.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise InvalidInput(f"--to {target!r} is no HOST:PORT; write such as 127.0.0.1:4002")
        self._target = (host, int(port))
        self._folder = folder
        self._count = 0

    async def run(self, port: int, say: Callable[[str], None]) -> None:
        """Listen on loopback until cancelled; `say` is told where."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            server = await asyncio.start_server(self._serve, HOST, port)
        except OSError as error:
            raise RetryLater(
                f"cannot record on port {port} into {self._folder} ({error}); give another "
                "--listen or --out"
            ) from error
        where = server.sockets[0].getsockname()[1]
        say(f"recording on {HOST}:{where} to {self._target[0]}:{self._target[1]}")
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(*self._target)
        except OSError as error:
            log.warning("no gateway at %s:%s (%s)", *self._target, error)
            writer.close()
            return
        self._count += 1
        path = self._folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{self._count:03d}.jsonl"
        with path.open("w", encoding="utf-8") as stream:
            tape = Tape(stream)
            pumps = [
                asyncio.create_task(_pump(reader, there[1], lambda b: tape.heard("client", b))),
                asyncio.create_task(_pump(there[0], writer, lambda b: tape.heard("gateway", b))),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for end in (writer, there[1]):
                end.close()
            await asyncio.gather(*pumps, return_exceptions=True)
        log.info("recorded %s", path)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]
) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        note(data)
        await writer.drain()
