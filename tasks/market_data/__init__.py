"""Market data in and out: daily bars, ticks, looks and the warehouse's upkeep."""
