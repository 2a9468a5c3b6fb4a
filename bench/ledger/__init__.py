"""The order ledger, against the disk under it."""
