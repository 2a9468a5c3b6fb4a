"""The broker's own last closes: the second source that decision prices are held against."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from tasks.broker.roles import Role, address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.settings import Settings

logger = logging.getLogger("robo.portfolio")

DEADLINE = 5.0  # wall seconds a batch
LOOK_EVERY = 0.1
BATCH = 50  # an account may follow 100 symbols at once


def read_closes(settings: Settings, symbols: Sequence[str]) -> dict[str, float]:
    """Return the last close (USD) of each symbol as the broker tells it now (blocking).

    What is not told is left out, so is a batch with a symbol that the broker does not know. Raises
    GatewayUnreachable when no gateway answers.
    """
    told: dict[str, float] = {}
    for first in range(0, len(symbols), BATCH):
        told |= asyncio.run(_read(settings, symbols[first : first + BATCH]))
    missing = sorted(set(symbols) - set(told))
    if missing:
        logger.warning("the broker tells no last close of %s", ", ".join(missing))
    return told


async def _read(settings: Settings, symbols: Sequence[str]) -> dict[str, float]:
    from tasks.broker.market_data import DataConnection

    link = await DataConnection.open(address(settings, Role.SNAPSHOT), settings.broker_timeout)
    loop = asyncio.get_running_loop()
    try:
        await link.subscribe(symbols)
        deadline = loop.time() + DEADLINE
        while loop.time() < deadline:
            if all(link.last_close(symbol) is not None for symbol in symbols):
                break
            await asyncio.sleep(LOOK_EVERY)
        return {s: close for s in symbols if (close := link.last_close(s)) is not None}
    except InvalidInput as unknown:
        logger.warning("last closes could not be asked for: %s", unknown)
        return {}
    finally:
        await link.close()
