"""The pure models, against the straightforward way to the same numbers."""
