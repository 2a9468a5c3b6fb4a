"""The ledger beside the broker's books: adoption, reconciliation, corrections, reports."""
