"""Open what remembers: the order ledger, the warehouse and the model registry of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.market import MarketWarehouse


def open_ledger(settings: Settings) -> OrderLedger:
    """Open the order ledger, created or migrated on first use."""
    from warehouse.ledger import OrderLedger

    return OrderLedger(settings.ledger_url.get_secret_value(), settings.lock_deadline)


def open_warehouse(settings: Settings) -> MarketWarehouse:
    """Open the market-data warehouse, created or migrated on first use."""
    from warehouse.market import MarketWarehouse

    return MarketWarehouse(settings.warehouse_place, settings.lock_deadline, settings.lake_folder)
