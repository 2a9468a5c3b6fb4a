"""Open what remembers: the order ledger, the warehouse and the model registry of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.market import MarketWarehouse


def open_ledger(settings: Settings) -> OrderLedger:
    """Open the order ledger, created or migrated on first use.

    Raises InvalidInput when it is one of another mode.
    """
    from tasks.ledger_mode import require_mode
    from warehouse.ledger import OrderLedger

    ledger = OrderLedger(settings.ledger_url.get_secret_value(), settings.lock_deadline)
    try:
        require_mode(ledger, settings.mode)
    except BaseException:
        ledger.close()
        raise
    return ledger


def open_warehouse(settings: Settings) -> MarketWarehouse:
    """Open the market-data warehouse, created or migrated on first use."""
    from warehouse.market import MarketWarehouse

    return MarketWarehouse(settings.warehouse_place, settings.lock_deadline, settings.lake_folder)
