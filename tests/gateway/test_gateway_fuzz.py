"""Mutated, truncated and random frames: every one is answered or shown the door, none does harm."""

import random
import socket
import struct
from pathlib import Path

import pytest

from gateway.codec.fields import CodecError
from gateway.codec.requests import REQUESTS, read_request

pytestmark = pytest.mark.journey

FRAMES = 4_000
ODD = ["", "-1", "x", "0", "1e400", "nan", "Infinity", "9" * 30, "é", "1.7976931348623157E308"]
ODD += ["2147483647", "AAPL", "STK", "BAG", "1", "LMT", "MKT", "BUY"]
CURRENT_TIME = b"49\x001\x00"
ANSWER = b"49\x001\x001672"  # the current time message, whose seconds begin so on that day


def seeds(rng):
    """Messages of the right id and about the right length, filled with plausible values."""
    for message_id, request in REQUESTS.items():
        if request.name == "startApi":
            continue
        tokens = [str(message_id)]
        while True:
            try:
                read_request(tokens, 178)
                break
            except CodecError as error:
                if "missing" not in str(error):
                    tokens.pop()
                tokens.append(rng.choice(["1", "0", "", "AAPL", "BUY", "MKT", "STK"]))
        yield tokens


def mutated(tokens, rng):
    tokens = list(tokens)
    for _ in range(rng.randint(0, 3)):
        kind = rng.random()
        if kind < 0.5:
            tokens[rng.randrange(len(tokens))] = rng.choice(ODD)
        elif kind < 0.7:
            tokens = tokens[: rng.randint(1, len(tokens))]
        elif kind < 0.85:
            tokens.insert(rng.randrange(len(tokens) + 1), rng.choice(ODD))
        else:
            tokens[rng.randrange(len(tokens))] = str(rng.randint(-5, 300))
    return "\0".join(tokens).encode() + b"\0"


def framed(payload):
    return struct.pack(">I", len(payload)) + payload


class Raw:
    """A client that speaks bytes."""

    def __init__(self, port, client_id):
        self.link = socket.create_connection(("127.0.0.1", port), 20)
        self.link.sendall(b"API\0" + framed(b"v157..178"))
        self.link.recv(100)
        self.link.sendall(framed(f"71\0002\0{client_id}\0\0".encode()))

    def send(self, payload):
        """Send a message and wait until the one behind it is answered; False when cut off."""
        try:
            self.link.sendall(framed(payload) + framed(CURRENT_TIME))
            got = b""
            while ANSWER not in got:
                data = self.link.recv(1 << 20)
                if not data:
                    return False
                got = got[-64:] + data
        except ConnectionError:
            return False
        return True


async def test_no_frame_brings_the_gateway_down(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state")
    await (await open_control(gateway)).advance("15:00:00")
    rng = random.Random(11)
    messages = list(seeds(rng))
    assert len(messages) == len(REQUESTS) - 1
    raw, client_id = Raw(gateway.port, 1), 1
    for _ in range(FRAMES):
        payload = mutated(rng.choice(messages), rng)
        if rng.random() < 0.01:
            payload = rng.randbytes(30)
        if not raw.send(payload):
            raw.link.close()
            client_id += 1
            raw = Raw(gateway.port, client_id)
    raw.link.close()
    assert gateway.process.poll() is None
    status = Path(f"/proc/{gateway.process.pid}/status")
    if status.exists():
        memory = next(line for line in status.read_text().splitlines() if "VmRSS" in line)
        assert int(memory.split()[1]) < 500_000  # kB
    gateway.process.terminate()
    assert gateway.process.wait(20) == 0
    assert "request failed" not in gateway.process.stderr.read()
