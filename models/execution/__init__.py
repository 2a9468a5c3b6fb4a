"""Execution: target curves, the pure engine that works one parent order, and its costs."""
