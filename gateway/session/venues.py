"""Where a stock is quoted: the exchanges behind SMART, their letters, and who stands at a price.

Who quotes is drawn from the price, so that depth and top of book tell the same.
"""

from __future__ import annotations

from functools import lru_cache

EXCHANGES = ("SMART", "NYSE", "NASDAQ", "ARCA", "BATS", "IEX")
LETTERS = {"NYSE": "N", "NASDAQ": "Q", "ARCA": "P", "BATS": "Z", "IEX": "V"}  # of the tape plans
TAPE = "NASDAQ"  # where every trade is said to have happened


def draw(column: int, side: int, price: int) -> int:
    """Return the number that names are drawn with: `side` 1 for bids, 0 for offers."""
    return column * 31 + side * 17 + price * 7919


def venue_at(column: int, side: int, price: int) -> str:
    """Return the exchange that leads a row of SMART depth."""
    return EXCHANGES[1 + draw(column, side, price) % 5]


@lru_cache(maxsize=1 << 14)
def letters_at(column: int, side: int, price: int) -> str:
    """Return the letters of the exchanges that quote a price, the leading one among them."""
    number = draw(column, side, price)
    first = number % 5
    joined = number // 5 & number // 160  # each of the others stands there one time in four
    return "".join(
        letter for bit, letter in enumerate(LETTERS.values()) if bit == first or joined >> bit & 1
    )
