"""What the system remembers: market data in DuckDB, orders and money in the SQL ledger."""
