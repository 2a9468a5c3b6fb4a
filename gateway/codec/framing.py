"""Frames: a four-byte big-endian length, then NUL-terminated fields."""

from __future__ import annotations

import struct

MOST_BYTES = 1 << 20
_LENGTH = struct.Struct(">I")
_SHORT = tuple(_LENGTH.pack(size) for size in range(256))  # nearly all messages are this short


class FrameError(Exception):
    """The bytes are no frame of this protocol; the connection cannot go on."""


class FrameReader:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes and return the frames that are complete now; raise FrameError on nonsense."""
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= 4:
            (size,) = _LENGTH.unpack_from(buffer, start)
            if size > MOST_BYTES:
                raise FrameError(f"a frame of {size} bytes is longer than {MOST_BYTES}")
            if len(buffer) - start - 4 < size:
                break
            frames.append(bytes(buffer[start + 4 : start + 4 + size]))
            start += 4 + size
        del buffer[:start]
        return frames


def frame(payload: bytes) -> bytes:
    """Put the length before a payload."""
    size = len(payload)
    return (_SHORT[size] if size < 256 else _LENGTH.pack(size)) + payload


def tokens_of(payload: bytes) -> list[str]:
    """Split a payload into its fields; raise FrameError when it does not end one."""
    if not payload.endswith(b"\0"):
        raise FrameError("a message does not end with a NUL")
    return payload[:-1].decode("utf-8", errors="backslashreplace").split("\0")
