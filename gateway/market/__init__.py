"""Prices: real daily closes, and everything inside the day simulated around them, seeded."""
