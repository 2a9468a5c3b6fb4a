"""Seeded random streams in which any row can be drawn without drawing those before it."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS_PER_COUNT = 4  # Philox4x64 makes four 64-bit words per counter step


def key_of(*parts: object) -> int:
    """Return a 128-bit key that depends on every part and on their order."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")


def uniform_rows(key: int, first: int, rows: int, width: int) -> NDArray[np.float64]:
    """Return rows [first, first + rows) of an endless table of uniforms in (0, 1).

    Shape (rows, width). `width` must be a multiple of four, so that a row starts on a whole step of
    the counter-based generator (Salmon et al., 2011) and does not depend on any other row.
    """
    if width % WORDS_PER_COUNT:
        raise ValueError(f"width {width} is no multiple of {WORDS_PER_COUNT}")
    bits = np.random.Philox(key=key)
    bits.advance(first * (width // WORDS_PER_COUNT))
    uniforms = np.random.Generator(bits).random((rows, width))
    return np.maximum(uniforms, 2.0**-54, out=uniforms)
