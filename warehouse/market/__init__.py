"""Market data in a DuckDB file that is opened for moments at a time."""

from warehouse.market.market_warehouse import MarketWarehouse

__all__ = ["MarketWarehouse"]
