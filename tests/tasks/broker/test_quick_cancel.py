"""The halt's first words, against a server that answers as it is told to."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from models.domain.errors import HaltTrading
from tasks.broker.protocol import ApiAddress
from tasks.broker.quick_cancel import NotSaid, cancel_all, cancel_symbol

HELLO = [("178", "20230103 10:00:00 UTC")]
READY = [("15", "1", "SIM0000001"), ("9", "1", "1")]
TIME = ("49", "1", "1672756200")


def frame(*fields: str) -> bytes:
    content = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(content)) + content


def order(
    perm_id: int, symbol: str = "KO", client_id: int = 30, ref: str = "20230103-a-KO.1.1"
) -> tuple[str, ...]:
    before = [str(perm_id * 10), "8", symbol, *("x" for _ in range(19))]
    return ("5", *before, ref, str(client_id), str(perm_id), "rest")


@contextmanager
def server(
    *answers: list[tuple[str, ...]],
    chunk: int = 10_000,
    hangs: bool = False,
    asks: tuple[bytes, ...] = (b"v157..178", b"71\0", b"49\0"),
) -> Iterator[tuple[ApiAddress, list[bytes]]]:
    """Answer the greeting, the start and the time with `answers`, in pieces of `chunk` bytes."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            line, _ = door.accept()
            with line:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for ask, answer in zip(asks, answers, strict=False):
                    while ask not in b"".join(heard):
                        said = line.recv(4096)
                        if not said:
                            return
                        heard.append(said)
                    told = b"".join(frame(*message) for message in answer)
                    for start in range(0, len(told), chunk):
                        line.sendall(told[start : start + chunk])
                while hangs and line.recv(4096):
                    pass

        thread = Thread(target=serve)
        thread.start()
        yield ApiAddress("127.0.0.1", door.getsockname()[1], 30), heard
        thread.join(5)


def stop(there: ApiAddress, deadline: float = 5.0) -> tuple[int, list[str]]:
    accounts: list[str] = []
    sent: list[bool] = []
    count = cancel_all(there, deadline, accounts.append, lambda: sent.append(True))
    assert sent == [True]
    return count, accounts


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_it_cancels_and_counts_what_worked(chunk: int) -> None:
    noise = [("4", "2", "-1", "2104", "Market data farm connection is OK", "")]
    book = [order(7), order(8), ("3", "1", "Submitted"), order(7), ("53", "1")]
    late = [order(9), ("3", "8", "Cancelled"), TIME]
    with server(HELLO, [*noise, *READY], [*book, *late], chunk=chunk) as (there, heard):
        assert stop(there) == (2, ["SIM0000001"])
    said = b"".join(heard)
    assert said.startswith(b"API\0")
    assert said.endswith(frame("16", "1") + frame("58", "1") + frame("49", "1"))


@pytest.mark.parametrize(("version", "time_field"), [("168", ()), ("169", ("",))])
def test_of_a_symbol_only_its_own_entries_are_cancelled(
    version: str, time_field: tuple[str, ...]
) -> None:
    book = [
        order(7),
        order(8, symbol="PEP"),
        order(9, client_id=31),
        order(10, ref="20230103-exit-KO-2.1.1"),
        order(11, ref="20230102-a-KO.2.1"),
        order(7),
    ]
    asks = (b"v157..178", b"71\0", b"16\0", b"49\0")
    answers = ([(version, "20230103 10:00:00 UTC")], READY, [*book, ("53", "1")], [TIME])
    sent: list[bool] = []
    with server(*answers, asks=asks) as (there, heard):
        count = cancel_symbol(there, 5.0, lambda _: None, lambda: sent.append(True), "KO")
    assert (count, sent) == (2, [True])
    cancels = frame("4", "1", "70", *time_field) + frame("4", "1", "110", *time_field)
    assert b"".join(heard).endswith(frame("16", "1") + cancels + frame("49", "1"))


def test_a_refused_account_is_not_touched() -> None:
    def refuse(account: str) -> None:
        raise HaltTrading(f"{account} is live")

    with server(HELLO, READY) as (there, heard):
        with pytest.raises(HaltTrading, match="SIM0000001 is live"):
            cancel_all(there, 5.0, refuse, lambda: pytest.fail("it was sent"))
    assert frame("58", "1") not in b"".join(heard)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([[("201", "now")]], "server version 201"),
        ([HELLO, [("4", "2", "-1", "326", "client id is in use", "")]], "326"),
        ([HELLO, [("15", "1", "A,B"), ("9", "1", "1")]], "2 accounts"),
        ([HELLO, READY[:1]], "ended the connection"),
        ([HELLO, READY, [order(1)[:9]]], "index"),
    ],
)
def test_what_it_does_not_understand_is_left_to_the_library(
    answers: list[list[tuple[str, ...]]], why: str
) -> None:
    with server(*answers) as (there, _), pytest.raises(NotSaid, match=why):
        cancel_all(there, 5.0, lambda _account: None, lambda: None)


def test_a_silent_gateway_is_not_waited_for() -> None:
    with server(HELLO, hangs=True) as (there, _), pytest.raises(NotSaid, match="timed out|in time"):
        cancel_all(there, 0.2, lambda _account: None, lambda: None)


def test_nobody_at_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        there = ApiAddress("127.0.0.1", door.getsockname()[1], 30)
    with pytest.raises(NotSaid, match="refused"):
        cancel_all(there, 5.0, lambda _account: None, lambda: None)
