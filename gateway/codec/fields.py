"""Field tables: what a request consists of, by server version, and how to read it strictly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

UNSET_INT = 2147483647
UNSET_DOUBLE = "1.7976931348623157E308"
ALWAYS = 10**6
MOST_REPEATS = 1000


class CodecError(Exception):
    """A message that does not fit its table; `field` names the place, `values` what was read."""

    def __init__(self, field: str, problem: str, values: dict[str, Any]) -> None:
        super().__init__(f"field '{field}': {problem}")
        self.field = field
        self.values = values


def read_int(text: str) -> int:
    """Read a whole number of 32 bits, as the protocol's are; empty is 0."""
    number = int(text) if text else 0
    if not -UNSET_INT - 1 <= number <= UNSET_INT:
        raise ValueError("more than 32 bits")
    return number


def read_optional_int(text: str) -> int | None:
    """Read a whole number; empty and the protocol's unset value are None."""
    if not text:
        return None
    number = read_int(text)
    return None if number == UNSET_INT else number


def read_decimal(text: str) -> Decimal | None:
    """Read a decimal; empty and the protocol's unset value are None."""
    if not text:
        return None
    if text in {"Infinity", "Infinite"}:
        return Decimal("Infinity")
    number = Decimal(text)
    if number.is_nan() or number.is_infinite():
        raise ValueError("not a finite number")
    return None if abs(number) > Decimal("1e300") else number


def read_bool(text: str) -> bool:
    """Read a flag: 0 or 1; empty is false. Some clients write the words."""
    if text in {"1", "true", "True"}:
        return True
    if text in {"", "0", "false", "False"}:
        return False
    raise ValueError("not 0 or 1")


Reader = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class F:
    """One field, present in server versions [since, before)."""

    name: str
    read: Reader = str
    since: int = 0
    before: int = ALWAYS


@dataclass(frozen=True, slots=True)
class Many:
    """A count, and that many groups of fields; read as a list of dicts under `name`."""

    name: str
    fields: tuple[F, ...]


@dataclass(frozen=True, slots=True)
class When:
    """Items that are present if `test` holds for the values read before them."""

    test: Callable[[dict[str, Any]], bool]
    items: tuple[F | Many | When, ...]


Item = F | Many | When


def ints(*names: str) -> tuple[F, ...]:
    """Name whole-number fields."""
    return tuple(F(name, read_int) for name in names)


def texts(*names: str) -> tuple[F, ...]:
    """Name text fields."""
    return tuple(F(name) for name in names)


def flags(*names: str) -> tuple[F, ...]:
    """Name 0/1 fields."""
    return tuple(F(name, read_bool) for name in names)


def decimals(*names: str) -> tuple[F, ...]:
    """Name decimal fields that may be unset."""
    return tuple(F(name, read_decimal) for name in names)


def optional_ints(*names: str) -> tuple[F, ...]:
    """Name whole-number fields that may be unset."""
    return tuple(F(name, read_optional_int) for name in names)


class _Reading:
    """One pass over the tokens of one message."""

    def __init__(self, tokens: list[str], version: int) -> None:
        self.tokens = tokens
        self.version = version
        self.place = 0
        self.values: dict[str, Any] = {}

    def items(self, items: tuple[Item, ...]) -> None:
        for item in items:
            if isinstance(item, F):
                if item.since <= self.version < item.before:
                    self.values[item.name] = self.one(item)
            elif isinstance(item, When):
                if item.test(self.values):
                    self.items(item.items)
            else:
                self.values[item.name] = self.groups(item)

    def groups(self, item: Many) -> list[dict[str, Any]]:
        count = self.one(F(f"{item.name} count", read_int))
        if not 0 <= count <= MOST_REPEATS:
            raise CodecError(f"{item.name} count", f"{count} is out of range", self.values)
        wanted = [f for f in item.fields if f.since <= self.version < f.before]
        return [{f.name: self.one(f) for f in wanted} for _ in range(count)]

    def one(self, item: F) -> Any:
        if self.place >= len(self.tokens):
            raise CodecError(item.name, "is missing", self.values)
        text = self.tokens[self.place]
        self.place += 1
        try:
            return item.read(text)
        except (ValueError, InvalidOperation):
            shown = text[:40]
            raise CodecError(item.name, f"cannot be read from {shown!r}", self.values) from None


def read_fields(items: tuple[Item, ...], tokens: list[str], version: int) -> dict[str, Any]:
    """Read `tokens` by a table; raise CodecError on a missing, malformed or leftover field."""
    reading = _Reading(tokens, version)
    reading.items(items)
    if reading.place != len(tokens):
        left = len(tokens) - reading.place
        raise CodecError("(end)", f"{left} fields are left over", reading.values)
    return reading.values


def default_fields(items: tuple[Item, ...], given: dict[str, str], version: int) -> dict[str, Any]:
    """Return what a message says that holds the `given` texts and is empty elsewhere.

    Raises CodecError, which names the field, for a text that cannot be read.
    """
    values: dict[str, Any] = {}
    _fill(values, items, given, version)
    return values


def _fill(
    values: dict[str, Any], items: tuple[Item, ...], given: dict[str, str], version: int
) -> None:
    for item in items:
        if isinstance(item, When):
            if item.test(values):
                _fill(values, item.items, given, version)
        elif isinstance(item, Many):
            values[item.name] = []
        elif item.since <= version < item.before:
            text = given.get(item.name, "")
            try:
                values[item.name] = item.read(text)
            except (ValueError, InvalidOperation):
                raise CodecError(item.name, f"cannot be read from {text[:40]!r}", {}) from None


def write_fields(items: tuple[Item, ...], values: dict[str, Any], version: int) -> list[Any]:
    """Return the values that a table puts on the wire for `version`; what is unknown is unset."""
    out: list[Any] = []
    for item in items:
        if isinstance(item, F):
            if item.since <= version < item.before:
                out.append(values.get(item.name))
        elif isinstance(item, When):
            if item.test(values):
                out += write_fields(item.items, values, version)
        else:
            groups = values.get(item.name) or []
            out.append(len(groups))
            for group in groups:
                out += write_fields(item.fields, group, version)
    return out
