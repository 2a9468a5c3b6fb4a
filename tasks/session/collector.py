"""The garbage collector while orders are worked."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

THRESHOLDS = 20_000, 20, 50  # next to nothing that a session makes is a cycle


@contextmanager
def few_collections() -> Generator[None, None, None]:
    """Leave what was made so far alone and look at the rest seldom, until the block ends.

    A full collection walks every module and function too, 50 ms and more, and orders would wait.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
