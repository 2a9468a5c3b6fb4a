"""How many shares of a symbol may be borrowed now; asked only where shorting is allowed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tasks.broker.roles import Role
from tasks.leases.client_ids import leased_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.broker.protocol import ApiAddress
    from tasks.settings import Settings

DEADLINE = 5.0
LOOK_EVERY = 0.1


def read_shortable(settings: Settings, symbols: Sequence[str]) -> dict[str, int]:
    """Return shares that may be borrowed by symbol (blocking); what is not told is left out.

    Raises GatewayUnreachable when no gateway answers.
    """
    with leased_address(settings, Role.SNAPSHOT) as where:
        return asyncio.run(_read(settings, symbols, where))


async def _read(settings: Settings, symbols: Sequence[str], where: ApiAddress) -> dict[str, int]:
    from tasks.broker.market_data import DataConnection

    link = await DataConnection.open(where, settings.broker_timeout)
    loop = asyncio.get_running_loop()
    try:
        await link.subscribe(symbols, with_shortable=True)
        deadline = loop.time() + DEADLINE
        while loop.time() < deadline:
            told = {symbol: link.shortable(symbol) for symbol in symbols}
            if None not in told.values():
                break
            await asyncio.sleep(LOOK_EVERY)
        return {s: n for s in symbols if (n := link.shortable(s)) is not None}
    finally:
        await link.close()
