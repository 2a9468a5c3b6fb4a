"""What must not hurt: garbage, old clients, taken ids and ports, floods of orders, a full disk."""

import resource
import socket
import struct
import subprocess
import sys

import pytest

from gateway.codec.fields import default_fields, write_fields
from gateway.codec.framing import FrameReader
from gateway.codec.messages import text_of
from gateway.codec.place_order import PLACE_ORDER

pytestmark = pytest.mark.journey
LIMIT = {
    **{"symbol": "KO", "secType": "STK", "exchange": "SMART", "currency": "USD", "action": "BUY"},
    **{"totalQuantity": "1", "orderType": "LMT", "lmtPrice": "1.00", "tif": "GTC"},
    "transmit": "1",
}


def framed(payload):
    return struct.pack(">I", len(payload)) + payload


def order(order_id, **fields):
    values = default_fields(PLACE_ORDER, LIMIT | {"orderId": str(order_id)} | fields, 178)
    texts = [text_of(value) for value in write_fields(PLACE_ORDER, values, 178)]
    return framed("\0".join(["3", *texts, ""]).encode())


class Wire:
    """A client that speaks bytes and keeps the messages that it hears, as fields."""

    def __init__(self, port, client_id):
        self.link = socket.create_connection(("127.0.0.1", port), 10)
        self.link.sendall(b"API\0" + framed(b"v157..178"))
        self.link.recv(100)
        self.frames = FrameReader()
        self.link.sendall(framed(f"71\0002\0{client_id}\0\0".encode()))

    def hear(self):
        """Return the next messages; none once the connection has ended."""
        try:
            data = self.link.recv(1 << 20)
        except ConnectionError:
            return []
        return [payload.decode().split("\0") for payload in self.frames.feed(data)] if data else []

    def hear_until(self, kind, many=1):
        """Return messages up to the one that is the last of so many of a kind, or to the end."""
        heard, seen = [], 0
        while seen < many and (found := self.hear()):
            heard += found
            seen += sum(fields[0] == kind for fields in found)
        return heard

    def ask(self, data, until="49"):
        self.link.sendall(data + (framed(b"49\x001\0") if until == "49" else b""))
        return self.hear_until(until)


def closed(link):
    link.settimeout(10)
    try:
        return link.recv(1000) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(256)),
        b"API\0\xff\xff\xff\xff",
    ],
    ids=["http", "bytes", "too long"],
)
def test_whoever_does_not_speak_the_protocol_is_shown_the_door(free_gateway, said):
    witness = Wire(free_gateway.port, 700)
    with socket.create_connection(("127.0.0.1", free_gateway.port), 10) as link:
        link.sendall(said)
        assert closed(link)
    assert witness.ask(b"")[-1][0] == "49"
    witness.link.close()


@pytest.mark.parametrize("versions", [b"v100..151", b"v200..210", b"hello"])
def test_a_client_of_other_versions_is_told_which_are_spoken(free_gateway, versions):
    with socket.create_connection(("127.0.0.1", free_gateway.port), 10) as link:
        link.sendall(b"API\0" + framed(versions))
        (payload,) = FrameReader().feed(link.recv(1000))
        kind, _, request, code, text, *_ = payload.decode().split("\0")
        assert (kind, request, code) == ("4", "-1", "503")
        assert "157..178" in text
        assert closed(link)


def test_a_client_that_begins_at_157_is_served(free_gateway):
    with socket.create_connection(("127.0.0.1", free_gateway.port), 10) as link:
        link.sendall(b"API\0" + framed(b"v157..157"))
        assert link.recv(100)[4:].startswith(b"157\0")


def test_a_client_id_serves_one_connection(free_gateway):
    first, second = Wire(free_gateway.port, 701), Wire(free_gateway.port, 701)
    told = second.hear_until("4")
    assert told[-1][3] == "326"
    assert closed(second.link)
    assert first.ask(b"")[-1][0] == "49"
    first.link.close()


def test_requests_before_the_start_are_answered_504(free_gateway):
    with socket.create_connection(("127.0.0.1", free_gateway.port), 10) as link:
        link.sendall(b"API\0" + framed(b"v157..178"))
        link.recv(100)
        link.sendall(framed(b"49\x001\0"))
        assert b"\x00504\0" in link.recv(1000)


def test_a_second_gateway_on_the_port_says_what_to_do(free_gateway, tmp_path):
    command = [sys.executable, "-m", "gateway", "run", "--port", str(free_gateway.port)]
    command += ["--control-port", "0", "--state-dir", str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert f"--port {free_gateway.port} is in use" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("200", {"symbol": "NOPE"}),
        ("200", {"conId": "5", "symbol": ""}),
        ("200", {"secType": "OPT"}),
        ("321", {"secType": "SHARE"}),
        ("434", {"totalQuantity": "0"}),
        ("321", {"totalQuantity": "-5"}),
        ("10243", {"totalQuantity": "1.5"}),
        ("110", {"lmtPrice": "1.005"}),
        ("321", {"lmtPrice": "-1"}),
        ("321", {"lmtPrice": ""}),
        ("321", {"action": "HOLD"}),
        ("387", {"orderType": "MAGIC"}),
        ("321", {"tif": "SOON"}),
        ("391", {"tif": "GTD"}),
        ("10314", {"tif": "GTD", "goodTillDate": "tomorrow"}),
        ("321", {"account": "DU1"}),
        ("321", {"ocaType": "9", "ocaGroup": "a"}),
        ("439", {"algoStrategy": "Magic"}),
        ("10006", {"parentId": "77"}),
        ("10244", {"cashQty": "500"}),
        ("201", {"cashQty": "0.50", "totalQuantity": ""}),
        ("321", {"faGroup": "All"}),
        ("201", {"hedgeType": "B"}),
        ("201", {"adjustedOrderType": "STP"}),
        ("201", {"discretionaryAmt": "0.05"}),
        ("201", {"scalePriceIncrement": "0.1"}),
    ],
)
def test_an_order_that_cannot_be_is_refused_and_leaves_nothing(free_gateway, code, fields):
    wire = Wire(free_gateway.port, 702)
    heard = wire.ask(order(5, **fields))
    assert [f[3] for f in heard if f[0] == "4" and f[2] == "5"] == [code]
    assert not [f for f in heard if f[0] in {"3", "5"}]
    wire.link.close()


def said(*fields):
    return framed("\0".join([*map(str, fields), ""]).encode())


def history(format_date):
    contract = (0, "KO", "STK", "", "", "", "", "SMART", "", "USD", "", "", 0)
    return said(20, 6, *contract, "", "1 day", "2 D", 1, "TRADES", format_date, 0, "")


def head_timestamp(format_date):
    contract = (0, "KO", "STK", "", "", "", "", "SMART", "", "USD", "", "", 0)
    return said(87, 6, *contract, 1, "TRADES", format_date)


@pytest.mark.parametrize(
    ("code", "request_id", "asked"),
    [
        ("321", "6", said(62, 1, 6, "Foo", "NetLiquidation")),
        ("321", "6", said(62, 1, 6, "All", "Foo,Bar")),
        ("321", "6", said(62, 1, 6, "All", "")),
        ("321", "6", history(0)),
        ("321", "6", history(3)),
        ("321", "6", head_timestamp(3)),
        ("321", "6", said(7, 3, 6, 0, "", "", "", "", "", "XX")),
        ("501", "-1", said(71, 2, 7_030, "")),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(free_gateway, code, request_id, asked):
    wire = Wire(free_gateway.port, 703)
    wire.hear_until("4", 3)
    assert [(f[2], f[3]) for f in wire.ask(asked, until="4")] == [(request_id, code)]
    assert wire.ask(b"")[-1][0] == "49"
    wire.link.close()


def test_refused_summaries_hold_no_place_and_an_id_follows_one_thing(free_gateway):
    wire = Wire(free_gateway.port, 704)
    for number in range(5, 9):
        wire.ask(said(62, 1, number, "All", "Foo"))
    for number in (5, 6):
        heard = wire.ask(said(62, 1, number, "All", "Foo,NetLiquidation"))
        assert [f[4] for f in heard if f[0] == "63"] == ["NetLiquidation"]
    for again in (said(62, 1, 5, "All", "NetLiquidation"), said(62, 1, 7, "All", "Cushion")):
        assert "322" in [f[3] for f in wire.ask(again) if f[0] == "4"]
    assert "94" in [f[0] for f in wire.ask(said(92, 9, "", ""))]
    assert "322" in [f[3] for f in wire.ask(said(92, 9, "", "")) if f[0] == "4"]
    wire.link.close()


def test_a_negative_client_id_is_refused(free_gateway):
    wire = Wire(free_gateway.port, -1)
    assert [f[3] for f in wire.hear_until("4")] == ["321"]
    wire.link.sendall(said(71, 2, 705, ""))
    assert "9" in [f[0] for f in wire.hear_until("9")]
    wire.link.close()


@pytest.mark.timeout(180)
async def test_ten_thousand_orders_at_once(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state", "--no-pacing", "--cash", "10000000")
    await (await open_control(gateway)).advance("15:00:00")
    wire, many = Wire(gateway.port, 1), 10_000
    wire.link.settimeout(30)
    frames = [order(number) for number in range(1, many + 1)]
    for start in range(0, many, 500):
        wire.link.sendall(b"".join(frames[start : start + 500]))
        heard = wire.hear_until("3", 500)
        assert {f[2] for f in heard if f[0] == "3"} == {"Submitted"}
    heard = wire.ask(framed(b"16\x001\0"), until="53")
    assert len({f[1] for f in heard if f[0] == "3"}) == many
    wire.link.sendall(framed(b"58\x001\0"))
    heard = wire.hear_until("3", many)
    assert {f[2] for f in heard if f[0] == "3"} == {"Cancelled"}
    cancel = framed(f"4\x001\0{many}\0\0".encode())
    assert [f[3] for f in wire.ask(cancel) if f[0] == "4"] == ["10148"]
    wire.link.close()


def test_a_full_disk_ends_the_gateway_and_loses_nothing_that_was_acknowledged(
    start_gateway, tmp_path
):
    folder = tmp_path / "state"
    gateway = start_gateway(folder, "--no-pacing")
    wire = Wire(gateway.port, 1)
    wire.hear_until("9")
    wire.ask(order(1))
    written = max(path.stat().st_size for path in folder.iterdir())
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (written + 65_536,) * 2)
    told = {"1"}
    for number in range(2, 2_000):
        try:
            heard = wire.ask(order(number))
        except ConnectionError:
            break
        told |= {f[1] for f in heard if f[0] == "3"}
        if not heard or heard[-1][0] != "49":
            break
    assert gateway.process.wait(20) == 1
    assert len(told) > 2
    words = gateway.process.stderr.read()
    assert "make room on the disk" in words
    again = start_gateway(folder)
    heard = Wire(again.port, 1).ask(framed(b"5\x001\0"), until="53")
    kept = {f[1] for f in heard if f[0] == "3"}
    assert told <= kept
    assert len(kept) <= len(told) + 1
