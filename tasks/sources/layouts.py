"""What the columns of a bar file mean: guessed from their names, shown, and overridable."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.domain.errors import InvalidInput

Layout = Literal["long", "per-symbol", "wide"]
LAYOUTS = ("long", "per-symbol", "wide")
FIELDS = ("open", "high", "low", "close", "volume")
ROLES = ("symbol", "date", "time", *FIELDS)
NAMES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "sym", "instrument", "code", "tic", "name"),
    "date": ("date", "day", "session", "tradedate", "tradingday", "yyyymmdd"),
    "time": (
        *("ts", "timestamp", "datetime", "time", "tsny", "tsutc", "tsevent", "barstart", "start"),
        *("moment", "dt", "unix", "epoch", "opentime", "hhmm", "hhmmss"),
    ),
    "open": ("open", "o", "openprice", "px_open"),
    "high": ("high", "h", "highprice", "max", "px_high"),
    "low": ("low", "l", "lowprice", "min", "px_low"),
    "close": ("close", "c", "closeprice", "last", "price", "px_last", "settle"),
    "volume": ("volume", "v", "vol", "shares", "totalvolume", "qty", "px_volume"),
}
EXTRAS = ("adj close", "adj_close", "adjclose", "dividends", "stock splits", "capital gains")
NONE = ""  # the column that a role is mapped to where the file has none
_PLAIN = re.compile(r"[^a-z]")
_EXTRA = re.compile(rf"(?:^|[_./ -])(?:{'|'.join(EXTRAS)})(?:$|[_./ -])")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column has which role, and in a wide file which field of which symbol.

    `wide` maps a column to (symbol, field); `unused` are the columns that are not imported.
    """

    layout: Layout
    roles: Mapping[str, str]
    wide: Mapping[str, tuple[str, str]]
    unused: tuple[str, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns to read."""
        return (*dict.fromkeys(self.roles.values()), *self.wide)


def guess_columns(
    header: Sequence[str],
    path: Path,
    layout: Layout | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Columns:
    """Return what each column is taken for.

    `overrides` maps a role (symbol, date, time, open, high, low, close, volume) to a column's name;
    volume also to `NONE`, 0 shares. Raises InvalidInput that lists what is missing, and what there
    is.
    """
    roles = {role: _guess(role, header) for role in ROLES}
    _check_overrides(overrides or {}, header)
    found = {role: name for role, name in (roles | dict(overrides or {})).items() if name}
    chosen = layout or _guess_layout(found)
    _require_once(header if chosen == "wide" else found.values(), header, path)
    if "date" not in found and "time" not in found:
        first = header[0] if header else ""
        if chosen == "wide" or _PLAIN.sub("", first.lower()) in {"", "index", "unnamed"}:
            found["time"] = first
    if chosen == "wide":
        return _wide(found, header)
    no_volume = (overrides or {}).get("volume") == NONE
    missing = [
        name for name in FIELDS if name not in found and not (no_volume and name == "volume")
    ]
    if "date" not in found and "time" not in found:
        missing.insert(0, "date or time")
    if chosen == "long" and "symbol" not in found:
        missing.insert(0, "symbol")
    if missing:
        raise InvalidInput(
            f"{path.name} has no column for {', '.join(missing)}; it has {', '.join(header)}. Name "
            f"them, as in --map {missing[-1].split()[0]}=COLUMN, or give another --layout"
            + ("; --map volume= takes 0 shares for a volume" if "volume" in missing else "")
        )
    if chosen == "per-symbol":
        found.pop("symbol", None)
    wanted = {role: found[role] for role in ROLES if role in found}
    unused = tuple(name for name in header if name not in wanted.values())
    return Columns(chosen, wanted, {}, unused)


def describe_columns(columns: Columns) -> list[str]:
    """Return lines that show what is taken for what."""
    lines = [f"layout    {columns.layout}"]
    lines += [f"{role:<9} column {name!r}" for role, name in columns.roles.items()]
    if not columns.wide and "volume" not in columns.roles:
        lines.append("volume    none: 0 shares")
    if columns.wide:
        symbols = sorted({symbol for symbol, _ in columns.wide.values()})
        fields = sorted({field for _, field in columns.wide.values()}, key=FIELDS.index)
        shown = ", ".join(symbols[:5]) + (" …" if len(symbols) > 5 else "")
        lines.append(f"wide      {len(symbols)} symbols ({shown}), each with {', '.join(fields)}")
        if fields == ["close"]:
            lines.append("          open, high and low are taken to be the close, volume 0 shares")
    if columns.unused:
        lines.append(f"not used  {', '.join(columns.unused)}")
    return lines


def _guess(role: str, header: Sequence[str]) -> str:
    """Return the column that most likely has the role; an earlier name of the list goes first."""
    plain = {_PLAIN.sub("", name.lower()): name for name in reversed(header)}
    for name in NAMES[role]:
        if _PLAIN.sub("", name) in plain:
            return plain[_PLAIN.sub("", name)]
    return ""


def _guess_layout(found: Mapping[str, str]) -> Layout:
    """Tell a wide file by its lack of fields; C, V and O may be symbols there."""
    fields = [found[name] for name in FIELDS if name in found]
    spelt_out = any(len(name) > 1 for name in fields)
    if not spelt_out and len(fields) < 4:
        return "wide" if "symbol" not in found else "long"
    return "long" if "symbol" in found else "per-symbol"


def _require_once(wanted: Iterable[str], header: Sequence[str], path: Path) -> None:
    """Refuse a column that is read and whose name another one has, too."""
    counts = Counter(header)
    twice = sorted({name for name in wanted if counts[name] > 1})
    if twice:
        raise InvalidInput(
            f"{path.name} has the column {twice[0]!r} {counts[twice[0]]} times, so which one is "
            "meant is not known; rename all but one of them"
        )


def _check_overrides(overrides: Mapping[str, str], header: Sequence[str]) -> None:
    for role, name in overrides.items():
        if role not in ROLES:
            raise InvalidInput(f"--map {role}=…: there is no {role}; map one of {', '.join(ROLES)}")
        if name not in header and not (role == "volume" and name == NONE):
            raise InvalidInput(
                f"--map {role}={name}: there is no such column; there are {', '.join(header)}"
            )


def _wide(found: Mapping[str, str], header: Sequence[str]) -> Columns:
    """Read columns SYMBOL, SYMBOL_close, close_SYMBOL … of a wide file."""
    when = {role: found[role] for role in ("date", "time") if role in found}
    if "time" in when and "date" in when and when["time"] == when["date"]:
        when.pop("date")
    names = [name for name in header if name not in when.values()]
    unused = tuple(name for name in names if _EXTRA.search(name.lower()))
    wide = {name: _symbol_and_field(name) for name in names if name not in unused}
    if not wide:
        raise InvalidInput("a wide file needs a column for each symbol; give another --layout")
    by_symbol: dict[str, set[str]] = {}
    for symbol, field in wide.values():
        by_symbol.setdefault(symbol, set()).add(field)
    without = sorted(symbol for symbol, fields in by_symbol.items() if "close" not in fields)
    if without:
        raise InvalidInput(
            f"the wide file has no close of {', '.join(without[:5])}; give columns named SYMBOL or "
            "SYMBOL_close, SYMBOL_open, …, or another --layout"
        )
    return Columns("wide", when, wide, unused)


def _symbol_and_field(name: str) -> tuple[str, str]:
    for separator in ("_", ".", "-", " ", "/"):
        first, _, second = name.rpartition(separator)
        if first and second.lower() in FIELDS:
            return first.upper(), second.lower()
        first, _, second = name.partition(separator)
        if second and first.lower() in FIELDS:
            return second.upper(), first.lower()
    return name.strip().upper(), "close"
