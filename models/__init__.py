"""Decide. Pure functions and frozen dataclasses: no clock, no I/O, no unseeded randomness."""
