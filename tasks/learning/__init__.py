"""Train, validate, register and load the ranker."""
