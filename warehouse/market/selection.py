"""Which rows a read wants: some symbols, and days in an interval; in the same words everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from warehouse.market.connection import utc_naive

OF_SYMBOLS = "($symbols IS NULL OR list_contains($symbols::VARCHAR[], symbol))"


def of_days(column: str) -> str:
    """Return the SQL condition: one of $symbols, and the date in `column` in [$first, $last]."""
    return (
        f"({OF_SYMBOLS} AND ($first::DATE IS NULL OR {column} >= $first) "
        f"AND ($last::DATE IS NULL OR {column} <= $last))"
    )


def wanted(
    symbols: Sequence[str] | None, first: date | None, last: date | None
) -> dict[str, object]:
    """Return the values of `of_days`; None is every symbol, or no bound."""
    names = None if symbols is None else list(symbols)
    return {"symbols": names, "first": first, "last": last}


def known_then(as_of: datetime | None) -> dict[str, object]:
    """Return the value of `$as_of` (naive UTC), which a query about the present has not."""
    return {} if as_of is None else {"as_of": utc_naive(as_of)}
