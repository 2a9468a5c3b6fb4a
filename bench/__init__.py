"""Benchmarks: figures against a named rival or a physical limit, measured in the same run."""
