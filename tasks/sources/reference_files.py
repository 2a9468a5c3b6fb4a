"""Small CSV files about instruments: corporate actions, universes, tickers over time."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput
from models.domain.instruments import BEGINNING, FOREVER, Membership, SymbolSpan


def read_actions(path: Path) -> tuple[CorporateAction, ...]:
    """Read symbol, ex_date, kind (split or dividend), value (new shares for one old, or USD)."""
    found: list[CorporateAction] = []
    for line, row in _rows(path, ("symbol", "ex_date", "kind", "value")):
        try:
            kind, value = ActionKind(row["kind"].lower()), float(row["value"])
        except ValueError as error:
            raise InvalidInput(
                f"{path.name} line {line}: {error}; kind is split or dividend, value a number"
            ) from error
        day = _day(path, line, "ex_date", row["ex_date"])
        found.append(CorporateAction(row["symbol"].upper(), day, kind, value))
    keys = [(action.symbol, action.ex_date, action.kind) for action in found]
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidInput(f"{path.name} gives {' '.join(map(str, twice))} twice; keep one of them")
    return tuple(found)


def read_members(path: Path) -> tuple[Membership, ...]:
    """Read universe, symbol, valid_from, valid_to (empty: since ever, or still)."""
    return tuple(
        Membership(row["universe"], row["symbol"].upper(), *_interval(path, line, row))
        for line, row in _rows(path, ("universe", "symbol", "valid_from", "valid_to"))
    )


def read_spans(path: Path) -> tuple[SymbolSpan, ...]:
    """Read instrument, symbol (its ticker), valid_from, valid_to (empty: since ever, or still)."""
    return tuple(
        SymbolSpan(row["instrument"].upper(), row["symbol"].upper(), *_interval(path, line, row))
        for line, row in _rows(path, ("instrument", "symbol", "valid_from", "valid_to"))
    )


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}; name one")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise InvalidInput(
                f"{path.name} has no column {', '.join(missing)}; its header must name "
                f"{', '.join(columns)}"
            )
        rows = [(line, row) for line, row in enumerate(reader, start=2)]
    for line, row in rows:
        cells = {name: (row[name] or "").strip() for name in columns}
        if not cells[columns[0]] or not cells[columns[1]]:
            raise InvalidInput(
                f"{path.name} line {line} has no {columns[0]} or {columns[1]}; fill it in"
            )
        yield line, cells


def _interval(path: Path, line: int, row: dict[str, str]) -> tuple[date, date]:
    first, last = row["valid_from"], row["valid_to"]
    return (
        _day(path, line, "valid_from", first) if first else BEGINNING,
        _day(path, line, "valid_to", last) if last else FOREVER,
    )


def _day(path: Path, line: int, name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"{path.name} line {line}: {name} is {text!r}; write it as 2024-01-31"
        ) from error
