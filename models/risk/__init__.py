"""Pre-trade risk: limits, pure checks with their reasons, and the two gates that run them."""
