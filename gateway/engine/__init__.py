"""Orders, account and journal: what the exchange and the broker's books do."""
