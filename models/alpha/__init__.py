"""Forecasts: labels, purged walk-forward validation, the ranker, its evaluation and promotion."""
