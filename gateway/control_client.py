"""One question to a running gateway over its control socket, as the command line asks it."""

from __future__ import annotations

import json
import select
import socket
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput, RetryLater

if TYPE_CHECKING:
    from collections.abc import Callable


def ask(
    host: str,
    port: int,
    request: dict[str, Any],
    timeout: float | None = 10.0,
    waiting: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Ask a running gateway one thing over its control socket.

    `waiting` is called twice a second until the answer comes. Raises RetryLater when none answers,
    InvalidInput when it refuses.
    """
    try:
        with socket.create_connection((host, port), 10.0) as link:
            link.settimeout(timeout)
            link.sendall(json.dumps({"id": 1, **request}).encode() + b"\n")
            with link.makefile("rb") as stream:
                while waiting is not None and not select.select([link], [], [], 0.5)[0]:
                    waiting()
                line = stream.readline()
    except OSError as error:
        raise RetryLater(
            f"no gateway answers on control port {port} ({error}); start one with "
            "`robo gateway run`, or name its port with --control-port"
        ) from error
    if not line:
        raise RetryLater(f"the gateway on control port {port} went away; ask `robo gateway status`")
    reply = json.loads(line)
    if not reply["ok"]:
        raise InvalidInput(reply["error"])
    return reply
