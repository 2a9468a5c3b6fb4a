"""The end of working orders, of all or of a symbol's, in a few messages without the client library.

The import of ib_async takes longer than a halt may. What a halt says before anything else are five
messages of the TWS API in its plain form (docs/gateway-protocol.md), and their answers tell how
many orders worked. Everything else is `ibkr.py`'s.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from models.domain.orders import is_exit_ref

if TYPE_CHECKING:
    from tasks.broker.protocol import ApiAddress

LENGTH = struct.Struct(">I")
LONGEST = 1 << 20  # bytes of one message; more is no gateway
FIRST_VERSION, LAST_VERSION = 157, 178  # what ib_async speaks: openOrder is the same in all
START_API, ALL_OPEN_ORDERS, GLOBAL_CANCEL, CURRENT_TIME = ("71", "2"), "16", "58", "49"
CANCEL, CANCEL_TIME_SINCE = "4", 169  # cancelOrder, and the version that added a field to it
ERROR, OPEN_ORDER, NEXT_VALID_ID, MANAGED_ACCOUNTS, OPEN_ORDER_END = "4", "5", "9", "15", "53"
FATAL = frozenset({"326", "502", "504", "507"})  # id in use, not connected, broken


class NotSaid(Exception):  # noqa: N818 - it only means that the client library must say it
    """The gateway was not reached or not understood this way."""


def cancel_all(
    there: ApiAddress,
    deadline: float,
    require_account: Callable[[str], None],
    sent: Callable[[], None],
) -> int:
    """Ask for the end of every working order, whoever placed it; return how many there were.

    `require_account` may refuse the account with an error of its own, which comes out unchanged;
    nothing is cancelled then. `sent` is called once the cancel is on the socket. `deadline` is
    seconds for all of it. Raises NotSaid; the cancel may have been sent by then, and may be again.
    """
    with _talking(there, deadline, require_account) as talk:
        talk.say(ALL_OPEN_ORDERS, "1")
        talk.say(GLOBAL_CANCEL, "1")
        sent()
        talk.say(CURRENT_TIME, "1")  # its answer comes behind all that was said before
        orders = _open_orders(talk)
        _hear_out(talk)
        return len({order.perm_id for order in orders})


def cancel_symbol(
    there: ApiAddress,
    deadline: float,
    require_account: Callable[[str], None],
    sent: Callable[[], None],
    symbol: str,
) -> int:
    """Ask for the end of the working orders of `symbol` that this client placed, but its exits.

    Return how many that were. All else is as in `cancel_all`; NotSaid also while another process
    is connected with the client id.
    """
    with _talking(there, deadline, require_account) as talk:
        talk.say(ALL_OPEN_ORDERS, "1")
        found = {
            order.order_id
            for order in _open_orders(talk)
            if (order.symbol, order.client_id) == (symbol, there.client_id)
            and not is_exit_ref(order.order_ref)
        }
        for order_id in sorted(found):
            late = [""] if talk.version >= CANCEL_TIME_SINCE else []
            talk.say(CANCEL, "1", str(order_id), *late)
        sent()
        talk.say(CURRENT_TIME, "1")
        _hear_out(talk)
        return len(found)


@contextmanager
def _talking(
    there: ApiAddress, deadline: float, require_account: Callable[[str], None]
) -> Iterator[_Talk]:
    """Greet the gateway and have the account checked; whatever goes wrong is NotSaid."""
    try:
        with socket.create_connection((there.host, there.port), deadline) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            talk = _Talk(line, time.monotonic() + deadline)
            require_account(_greet(talk, there.client_id))
            yield talk
    except (OSError, ValueError, IndexError) as error:
        raise NotSaid(str(error) or type(error).__name__) from error


class _Talk:
    """Frames of null-ended fields, each behind its length, in the gateway's `version`."""

    def __init__(self, line: socket.socket, until: float) -> None:
        self.version = FIRST_VERSION
        self._line = line
        self._until = until
        self._read = line.makefile("rb")

    def say(self, *fields: str) -> None:
        self.write("".join(f"{field}\0" for field in fields).encode())

    def write(self, content: bytes, before: bytes = b"") -> None:
        self._line.settimeout(self._left())
        self._line.sendall(before + LENGTH.pack(len(content)) + content)

    def hear(self) -> list[str]:
        self._line.settimeout(self._left())
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        if not 0 < length <= LONGEST:
            raise ValueError(f"a message of {length} bytes")
        return self._exactly(length).decode(errors="backslashreplace").split("\0")[:-1]

    def _exactly(self, count: int) -> bytes:
        found = self._read.read(count)
        if len(found) < count:
            raise ConnectionError("the gateway ended the connection")
        return found

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the gateway did not answer in time")
        return left


def _greet(talk: _Talk, client_id: int) -> str:
    """Open the API and return the account; raises ValueError when there is not exactly one."""
    talk.write(f"v{FIRST_VERSION}..{LAST_VERSION}".encode(), b"API\0")
    version = int(talk.hear()[0])
    if not FIRST_VERSION <= version <= LAST_VERSION:
        raise ValueError(f"server version {version}")
    talk.version = version
    talk.say(*START_API, str(client_id), "")
    accounts: list[str] | None = None
    is_ready = False
    while accounts is None or not is_ready:
        kind, *rest = _unless_fatal(talk.hear())
        if kind == MANAGED_ACCOUNTS:
            accounts = [account for account in rest[1].split(",") if account]
        is_ready = is_ready or kind == NEXT_VALID_ID
    if len(accounts) != 1:
        raise ValueError(f"{len(accounts)} accounts")
    return accounts[0]


class _OpenOrder(NamedTuple):
    order_id: int
    symbol: str
    order_ref: str
    client_id: int
    perm_id: int


def _open_orders(talk: _Talk) -> list[_OpenOrder]:
    """Return the orders told before the end of their list."""
    orders: list[_OpenOrder] = []
    while (fields := _unless_fatal(talk.hear()))[0] != OPEN_ORDER_END:
        if fields[0] == OPEN_ORDER:
            symbol, ref = fields[3], fields[23]
            client_id, perm_id = int(fields[24]), int(fields[25])
            orders.append(_OpenOrder(int(fields[1]), symbol, ref, client_id, perm_id))
    return orders


def _hear_out(talk: _Talk) -> None:
    """Wait for the time, which is told behind all that was asked before."""
    while _unless_fatal(talk.hear())[0] != CURRENT_TIME:
        pass


def _unless_fatal(fields: list[str]) -> list[str]:
    if fields[0] == ERROR and fields[3] in FATAL:
        raise ValueError(f"error {fields[3]}: {fields[4]}")
    return fields
