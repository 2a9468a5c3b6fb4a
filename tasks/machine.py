"""Where a process id means something: which machine, since which boot, in which container."""

from __future__ import annotations

import hashlib
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

# Linux: a new id with each boot, and the namespace that numbers this process.
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


@cache
def machine() -> str:
    """Return the host name and a short mark of boot and process namespace.

    Two containers may have one host name, and number their processes each from 1: whether a
    process id lives is for processes under the same mark only to say. Without /proc the host name
    alone has to do.
    """
    told = ""
    with suppress(OSError):
        told = f"{_BOOT.read_text().strip()} {_NAMESPACE.readlink()}"
    if not told:
        return socket.gethostname()
    return f"{socket.gethostname()}/{hashlib.sha256(told.encode()).hexdigest()[:8]}"
