"""Which source of bars is believed when two tell different values for one bar.

The broker's bars stand above those of files, and those above the packaged sample's. A source
replaces bars of its own rank or a lower one; a better source's stay, and the merge counts them.
"""

from __future__ import annotations

BROKER, FILE, SAMPLE = 3, 2, 1
RANKS = {"ibkr": BROKER, "sample": SAMPLE}  # any other source is a file


def rank_of(source: str) -> int:
    """Return the rank of a source of bars, the best the highest."""
    return RANKS.get(source, FILE)


def outranks(column: str, source: str) -> str:
    """Return the SQL condition that the source in `column` stands above `source`."""
    above = sorted(name for name, rank in RANKS.items() if rank > rank_of(source))
    below = sorted(name for name, rank in RANKS.items() if rank < FILE)
    if rank_of(source) < FILE:  # every file stands above it too
        return f"{column} NOT IN ({_quoted(below)})"
    return f"{column} IN ({_quoted(above)})" if above else "false"


def outranked(column: str, source: str) -> str:
    """Return the SQL condition that the source in `column` stands below `source`."""
    same = sorted(name for name, rank in RANKS.items() if rank == rank_of(source))
    if rank_of(source) == BROKER:
        return f"{column} NOT IN ({_quoted(same)})"
    below = sorted(name for name, rank in RANKS.items() if rank < rank_of(source))
    return f"{column} IN ({_quoted(below)})" if below else "false"


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
