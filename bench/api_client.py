"""An unmodified ib_async client of a running gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ib_async import IB, Contract, Stock

from bench.running_gateway import RunningGateway
from gateway.cli_faults import HOST
from gateway.market.universe import INSTRUMENTS


@asynccontextmanager
async def api_client(gateway: RunningGateway, client_id: int = 1) -> AsyncGenerator[IB, None]:
    """Connect an IB object, its limit of 45 messages a second off (MaxRequests, as documented)."""
    ib = IB()
    ib.client.MaxRequests = 0
    await ib.connectAsync(HOST, gateway.port, client_id)
    try:
        yield ib
    finally:
        ib.disconnect()


def watched(count: int) -> list[Contract]:
    """Return a contract of each of the first `count` stocks and funds that are listed."""
    found: list[Contract] = [
        Stock(instrument.symbol, "SMART", "USD", conId=instrument.con_id)
        for instrument in INSTRUMENTS
        if instrument.sec_type == "STK"
    ]
    if len(found) < count:
        raise RuntimeError(f"the gateway knows {len(found)} stocks, not {count}")
    return found[:count]


def stocks() -> list[Contract]:
    """Return a contract of each of the twenty real stocks, its id included."""
    return [
        Stock(instrument.symbol, "SMART", "USD", conId=instrument.con_id)
        for instrument in INSTRUMENTS
        if instrument.recipe is None
    ]
