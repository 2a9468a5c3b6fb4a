"""What the broker says instruments are: identity, first trade and price steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from tasks.quality.gate import Batch
from tasks.quality.reference_gate import admit_instruments

if TYPE_CHECKING:
    from models.domain.instruments import Instrument, TickStep
    from tasks.broker.history import HistoryConnection
    from tasks.settings import Settings
    from warehouse.market import MarketWarehouse

SOURCE = "ibkr"


async def fetch_instruments(
    connection: HistoryConnection,
    warehouse: MarketWarehouse,
    symbols: Sequence[str],
    now: datetime,
    progress: Callable[[str], None],
    *,
    policy: Path | None = None,
) -> int:
    """Ask for every symbol and keep the answers, learnt at `now` (UTC); return how many changed.

    An answer that breaks a rule of quality (`policy` is the operator's quality.toml) goes to
    quarantine. Raises InvalidInput that names the symbols the broker does not know; the others are
    kept.
    """
    found: list[Instrument] = []
    rules: dict[str, Sequence[TickStep]] = {}
    unknown: list[str] = []
    for number, symbol in enumerate(symbols, start=1):
        try:
            described = await connection.describe(symbol)
        except InvalidInput:
            described = None
        if described is None:
            unknown.append(symbol)
            continue
        instrument, rules[symbol] = described
        found.append(instrument)
        progress(f"{symbol}: conId {instrument.con_id} ({number} of {len(symbols)})")
    origin = Batch(SOURCE, f"instruments-{now:%Y%m%dT%H%M%S}", now)
    good = admit_instruments(warehouse, found, origin, policy)
    if len(good) < len(found):
        count = len(found) - len(good)
        progress(f"{count} are in quarantine: see `robo data quarantine list`")
    merged = warehouse.instruments.merge(good, SOURCE, now)
    kept = {item.symbol: rules[item.symbol] for item in good}
    if kept:
        warehouse.instruments.set_tick_rules(kept, SOURCE, now)
    if unknown:
        raise InvalidInput(
            f"the broker knows no US stock {', '.join(unknown)}; the other {len(found)} are kept: "
            "correct ROBO_UNIVERSE or --symbol"
        )
    return merged.added + merged.changed


async def fetch_from_broker(settings: Settings, progress: Callable[[str], None]) -> int:
    """Ask for the settings' universe on the connection for history; return how many changed."""
    from tasks.broker.clock import market_now
    from tasks.broker.history import HistoryConnection
    from tasks.broker.roles import Role
    from tasks.leases.client_ids import leased_address
    from tasks.stores import open_warehouse

    now = market_now(settings.clock, settings.host, settings.control_port)
    with leased_address(settings, Role.HISTORY) as where:
        connection = await HistoryConnection.open(where, settings.broker_timeout)
        try:
            return await fetch_instruments(
                connection,
                open_warehouse(settings),
                settings.universe,
                now,
                progress,
                policy=settings.quality_path,
            )
        finally:
            await connection.close()
