"""What may be a symbol, wherever one is given: settings, command line, a form in the Prefect UI."""

from __future__ import annotations

from collections.abc import Sequence

from models.domain.errors import InvalidInput

LONGEST = 12


def checked_symbols(symbols: Sequence[str]) -> list[str]:
    """Return the symbols in capital letters; ValueError for one that is none or named twice."""
    found = [symbol.strip().upper() for symbol in symbols]
    for symbol in found:
        bare = symbol.replace(".", "").replace(" ", "").replace("-", "")
        if not (bare.isascii() and bare.isalnum() and len(symbol) <= LONGEST):
            raise ValueError(f"{symbol!r} is no symbol")
    if len(set(found)) != len(found):
        raise ValueError("a symbol is named twice")
    return found


def require_symbols(symbols: Sequence[str], source: str) -> list[str]:
    """Return the symbols in capital letters; InvalidInput that names `source` for a wrong one."""
    try:
        return checked_symbols(symbols)
    except ValueError as error:
        raise InvalidInput(
            f"{source}: {error}; give letters and digits, such as AAPL or BRK B, each symbol once"
        ) from None
