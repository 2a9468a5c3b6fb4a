"""Faults that a real gateway has been seen to have, each by its name, on demand or by a script."""
