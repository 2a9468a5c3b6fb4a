"""Death inside `robo halt`, which has no boundaries of its own: its steps are counted from outside.

A step is the beginning or the end of a call that reaches the ledger or a socket.
"""

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import Any

from tasks.crash_points import die

STEPS = 40  # about as many has a halt on SQLite
OUTSIDE = (socket, sqlite3.Connection, sqlite3.Cursor)
CALLS = ("send", "sendall", "execute", "connect")
SERVER_CALLS = ("do_commit", "do_execute")  # SQLAlchemy's, for a ledger on a server


@contextmanager
def dying_at_step(number: int) -> Iterator[None]:
    """Let this process die at its `number`-th step (from 1; 0: never) inside the block."""
    passed = 0

    def watch(frame: Any, event: str, called: Any) -> None:
        nonlocal passed
        if event in ("c_call", "c_return"):
            is_step = called.__name__ in CALLS and isinstance(called.__self__, OUTSIDE)
        else:
            is_step = frame.f_code.co_name in SERVER_CALLS
        if is_step:
            passed += 1
            if passed == number:
                die()

    if not number:
        yield
        return
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
