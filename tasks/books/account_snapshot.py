"""Read the account once, on a connection that sends nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tasks.broker.roles import Role
from tasks.leases.client_ids import leased_address

if TYPE_CHECKING:
    from tasks.broker.protocol import ApiAddress, Evidence
    from tasks.settings import Settings


def read_account(settings: Settings) -> Evidence:
    """Return everything the broker shows of the account (blocking).

    Raises GatewayUnreachable when no gateway answers, HaltTrading when the account is not one
    that the mode may trade.
    """
    with leased_address(settings, Role.SNAPSHOT) as where:
        evidence = asyncio.run(_read(settings, where))
    settings.require_tradable(evidence.account)
    return evidence


async def _read(settings: Settings, where: ApiAddress) -> Evidence:
    from tasks.broker.ibkr import OrderConnection

    connection = await OrderConnection.open(where, settings.broker_timeout)
    try:
        return await connection.collect_evidence()
    finally:
        await connection.close()
