"""The head of a CSV file: its delimiter and names, also where two lines name field and symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DELIMITERS = (",", ";", "\t", "|")
FIELDS = {"open", "high", "low", "close", "adj close", "volume"}
MOST_FIELDS = 10  # distinct ones in a line that names fields: price data, dividends, splits


@dataclass(frozen=True, slots=True)
class CsvHead:
    """How the file begins: `lines` is how many lines are no data."""

    delimiter: str
    names: tuple[str, ...]
    lines: int


def csv_head(lines: Sequence[str]) -> CsvHead:
    """Read the first lines (one to three) of a CSV file.

    A table whose columns have two levels (pandas and yfinance write them: a line of fields, a line
    of symbols, in either order, then perhaps one with the index's name) gets the names
    SYMBOL_field, as a wide file has them.
    """
    delimiter = max(DELIMITERS, key=lines[0].count)
    rows = [[cell.strip().strip('"') for cell in line.split(delimiter)] for line in lines]
    if len(rows) > 1 and len(rows[0]) == len(rows[1]) > 1:
        for fields, symbols in ((rows[0], rows[1]), (rows[1], rows[0])):
            if _are_fields(fields[1:]) and not _are_fields(symbols[1:]) and _are_names(symbols[1:]):
                return _two_levels(delimiter, fields, symbols, rows[2:])
    return CsvHead(delimiter, tuple(rows[0]), 1)


def _are_fields(cells: Sequence[str]) -> bool:
    """Tell whether the cells repeat the fields of bars, the close among them."""
    found = {cell.lower() for cell in cells}
    return "close" in found and len(found) <= MOST_FIELDS and len(found & FIELDS) * 2 > len(found)


def _are_names(cells: Sequence[str]) -> bool:
    """Tell whether every cell may be a symbol: no number, none empty."""
    return all(cell and not _is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)  # NaN counts as one
    except ValueError:
        return False
    return True


def _two_levels(
    delimiter: str, fields: Sequence[str], symbols: Sequence[str], rest: Sequence[Sequence[str]]
) -> CsvHead:
    names = [f"{symbol}_{field}" for symbol, field in zip(symbols[1:], fields[1:], strict=True)]
    named = bool(rest) and not any(rest[0][1:])  # a line that names the index alone
    index = rest[0][0] if named else ""
    return CsvHead(delimiter, (index or "Date", *names), 3 if named else 2)
