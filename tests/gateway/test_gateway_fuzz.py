"""Mutated, truncated and random frames: every one is answered or shown the door, none does harm.

`ROBO_FUZZ_FRAMES=100000 pytest -s tests/gateway/test_gateway_fuzz.py` throws more and prints what
came of it.
"""

import os
import random
import socket
import struct
import time
from collections import Counter
from pathlib import Path

import pytest

from gateway.codec.fields import CodecError
from gateway.codec.framing import FrameReader
from gateway.codec.requests import REQUESTS, read_request

pytestmark = pytest.mark.journey

FRAMES = int(os.environ.get("ROBO_FUZZ_FRAMES", "5000"))
BATCH = 25
VERSIONS = (157, 158, 163, 164, 166, 169, 170, 176, 177, 178)
ODD = ["", "-1", "x", "0", "1e400", "nan", "Infinity", "9" * 30, "é", "1.7976931348623157E308"]
ODD += ["2147483647", "AAPL", "STK", "BAG", "1", "LMT", "MKT", "BUY", "SMART", "USD", "1 D", "DAY"]
PLAIN = ["1", "0", "", "AAPL", "BUY", "MKT", "STK", "SMART", "USD", "1 D", "5 mins", "TRADES"]
# What a sound message holds, by the name of the field; every other field is empty.
SOUND = {
    "reqId": [str(number) for number in range(1, 300)],
    "symbol": ["KO", "PFE", "AAPL", "XOM"],
    "secType": ["STK"],
    "exchange": ["SMART"],
    "currency": ["USD"],
    "action": ["BUY", "SELL"],
    "totalQuantity": ["10", "1", "150"],
    "orderType": ["LMT", "MKT", "STP", "TRAIL", "MOC", "LOC", "REL", "STP LMT"],
    "lmtPrice": ["1", "50", "900"],
    "auxPrice": ["60", "0.5"],
    "tif": ["DAY", "GTC", "IOC", "FOK"],
    "transmit": ["1"],
    "whatToShow": ["TRADES", "MIDPOINT", "BID_ASK", "SCHEDULE"],
    "barSize": ["1 day", "5 mins", "1 hour"],
    "duration": ["5 D", "1 D", "600 S"],
    "period": ["3 days"],
    "formatDate": ["1"],
    "useRTH": ["1"],
    "tickType": ["Last", "BidAsk", "AllLast", "MidPoint"],
    "numRows": ["5"],
    "count": ["10"],
    "pattern": ["K"],
    "marketRuleId": ["26"],
    "marketDataType": ["1", "3"],
    "group": ["All"],
    "tags": ["NetLiquidation,BuyingPower"],
    "subscribe": ["1"],
    "end": ["20221228 16:00:00"],
}
# Proof that messages get past the codec: details, orders and their end, fills, bars, quotes, depth.
REACHED = ("10", "5", "3", "11", "17", "1", "13", "error 202", "error 320", "error 321")
CURRENT_TIME = b"49\x001\x00"
FIRST_PING = 1_000_000_000  # above every id that a mutated message holds
ALL = {str(number) for number, request in REQUESTS.items() if request.name != "startApi"}
MOST_GROWTH = 150_000  # kB


def seeds(rng, version):
    """Messages that the codec takes whole: of each kind a sound one and one of odd values."""
    for message_id, request in REQUESTS.items():
        if request.name != "startApi":
            for sound in (True,) * 6 + (False,) * 2:
                yield seed(rng, message_id, version, sound)


def seed(rng, message_id, version, sound):
    tokens = [str(message_id)]
    while True:
        try:
            read_request(tokens, version)
            return tokens
        except CodecError as error:
            if "missing" not in str(error):
                tokens[-1] = rng.choice(["0", "1", ""])
            elif sound:
                tokens.append(rng.choice(SOUND.get(error.field, [""])))
            else:
                tokens.append(rng.choice(PLAIN))


def mutated(tokens, rng, order_id):
    """A copy with up to three faults, half of them with none; orders have ids of their own."""
    tokens = list(tokens)
    if tokens[0] == "3" and rng.random() < 0.8:
        tokens[1] = str(order_id)
    elif tokens[0] == "4":
        tokens[2] = str(order_id - rng.randint(0, 20))
    for _ in range(max(rng.randint(-2, 3), 0)):
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

    def __init__(self, port, client_id, version):
        self.link = socket.create_connection(("127.0.0.1", port), 20)
        self.link.sendall(b"API\0" + framed(f"v157..{version}".encode()))
        self.link.recv(100)
        self.link.sendall(framed(f"71\0002\0{client_id}\0\0".encode()))
        self.pings = FIRST_PING
        self.frames, self.seen = FrameReader(), Counter()

    def tally(self, data):
        """Count what comes back: by code for errors, by message id for the rest."""
        for payload in self.frames.feed(data):
            fields = payload.split(b"\0")
            self.seen[
                "error " + fields[3].decode() if fields[0] == b"4" else fields[0].decode()
            ] += 1

    def send(self, payloads):
        """Send messages and wait until the one behind them is answered; False when cut off.

        That one cancels data under an id that nothing else has ever used, so that its answer
        (300) cannot be taken for that of another message, and all before it have been worked.
        """
        self.pings += 1
        ping = f"2\0002\0{self.pings}\0".encode()
        answer = f"\0{self.pings}\x00300\0".encode()
        try:
            self.link.sendall(b"".join(map(framed, [*payloads, ping])))
            got = b""
            while answer not in got:
                data = self.link.recv(1 << 20)
                if not data:
                    return False
                got = got[-64:] + data
                self.tally(data)
        except ConnectionError:
            return False
        return True


class Fuzz:
    """Throws messages at a gateway and reconnects whenever it is cut off."""

    def __init__(self, gateway, rng):
        self.gateway = gateway
        self.rng = rng
        self.sent = self.cut = self.orders = 0
        self.seen = Counter()
        self.messages = {version: list(seeds(rng, version)) for version in VERSIONS}
        self.connect()

    def connect(self):
        if self.cut:
            self.seen += self.raw.seen
        self.cut += 1
        self.version = self.rng.choice(VERSIONS)
        self.raw = Raw(self.gateway.port, self.cut, self.version)

    def throw(self, frames):
        rng = self.rng
        for _ in range(0, frames, BATCH):
            batch = [self.one() for _ in range(BATCH)]
            if rng.random() < 0.05:
                batch[rng.randrange(BATCH)] = rng.randbytes(rng.randint(0, 60))
            self.sent += BATCH
            if not self.raw.send(batch):
                self.raw.link.close()
                self.connect()

    def one(self):
        """Return a message; two in five are about orders, which can do the most harm."""
        self.orders += 1
        messages = self.messages[self.version]
        wanted = self.rng.random() < 0.4
        chosen = [m for m in messages if m[0] in {"3", "4", "58"}] if wanted else messages
        return mutated(self.rng.choice(chosen), self.rng, self.orders)

    def memory(self):
        """Resident memory of the gateway in kB; 0 where the system does not tell."""
        status = Path(f"/proc/{self.gateway.process.pid}/status")
        if not status.exists():
            return 0
        line = next(line for line in status.read_text().splitlines() if "VmRSS" in line)
        return int(line.split()[1])


@pytest.mark.timeout(3600)
async def test_no_frame_brings_the_gateway_down(start_gateway, open_control, tmp_path, capsys):
    gateway = start_gateway(tmp_path / "state", "--no-pacing")
    await (await open_control(gateway)).advance("15:00:00")
    fuzz = Fuzz(gateway, random.Random(11))
    assert all({m[0] for m in known} == ALL for known in fuzz.messages.values())
    started = time.monotonic()
    fuzz.throw(FRAMES // 5)
    before = fuzz.memory()
    fuzz.throw(FRAMES - fuzz.sent)
    took, after = time.monotonic() - started, fuzz.memory()
    fuzz.raw.link.close()
    seen = fuzz.seen + fuzz.raw.seen
    assert gateway.process.poll() is None
    assert [kind for kind in REACHED if not seen[kind]] == []
    assert after < 600_000
    assert after - before < MOST_GROWTH
    with capsys.disabled():
        if FRAMES > 5000:
            print(
                f"\n{fuzz.sent} frames in {took:.1f} s ({fuzz.sent / took:.0f}/s), cut off "
                f"{fuzz.cut - 1} times, memory {before} -> {after} kB; answers {dict(seen.most_common(40))}"  # noqa: E501
            )
    gateway.process.terminate()
    assert gateway.process.wait(20) == 0
    errors = gateway.process.stderr.read()
    assert "Traceback" not in errors, errors[-3000:]


async def test_broken_streams_do_no_harm(start_gateway, tmp_path):
    gateway = start_gateway(tmp_path / "state", "--handshake-seconds", "0.5")
    rng = random.Random(5)
    hello = b"API\0" + framed(b"v157..178") + framed(b"71\x002\x007\0\0")
    for number in range(200):
        with socket.create_connection(("127.0.0.1", gateway.port), 5) as link:
            noise = rng.randbytes(rng.randint(0, 2000))
            sort = number % 4
            if sort == 0:
                link.sendall(noise)
            elif sort == 1:
                link.sendall(hello[: rng.randint(0, len(hello))])
            elif sort == 2:
                link.sendall(hello + struct.pack(">I", rng.randint(1 << 20, 1 << 32) & 0xFFFFFFFF))
            else:
                link.sendall(hello + framed(b"49\x001\x00")[: rng.randint(0, 9)] + noise)
    raw = Raw(gateway.port, 1, 178)
    raw.link.sendall(framed(CURRENT_TIME))
    assert raw.link.recv(1 << 16)
    raw.link.close()
    gateway.process.terminate()
    assert gateway.process.wait(20) == 0
    assert "Traceback" not in gateway.process.stderr.read()


@pytest.mark.parametrize("text", ["9" * 30, "2147483648", "-2147483649"])
def test_whole_numbers_beyond_32_bits_are_refused_by_their_field(text):
    """One such order id, let through, could not be journaled and brought the gateway down."""
    with pytest.raises(CodecError, match="'orderId'"):
        read_request(["3", text, *[""] * 112], 178)
