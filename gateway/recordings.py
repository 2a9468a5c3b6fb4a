"""How two recordings differ in the layout of their messages."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from gateway.codec.messages import Out
from gateway.codec.requests import REQUESTS
from models.domain.errors import InvalidInput

Key = tuple[str, str]  # side, message id


@dataclass(slots=True)
class Layout:
    """What was seen of one kind of message: numbers of fields, and what stood in each place."""

    lengths: set[int] = field(default_factory=set)
    places: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, fields: list[str]) -> None:
        """Take one message."""
        self.lengths.add(len(fields))
        for place, text in enumerate(fields):
            self.places[place].add(_kind(text))


def layouts(path: Path) -> dict[Key, Layout]:
    """Return the layouts of a recording; InvalidInput names a line that cannot be read."""
    found: dict[Key, Layout] = defaultdict(Layout)
    number = 0
    try:
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                number += 1
                entry = json.loads(line)
                if "fields" in entry:
                    found[entry["from"], entry["fields"][0]].add(entry["fields"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InvalidInput(f"{path}, line {number}: no recording ({error})") from None
    # The first message of a gateway names its version, not a kind.
    return {key: layout for key, layout in found.items() if layout.lengths != {2} or key[1] < "157"}


def differences(first: Path, second: Path) -> list[str]:
    """Return a line for each kind of message that both hold and that is laid out differently."""
    one, other = layouts(first), layouts(second)
    lines: list[str] = []
    for key in sorted(one.keys() & other.keys(), key=lambda key: (key[0], int(key[1]))):
        name = _name(key)
        a, b = one[key], other[key]
        if not a.lengths & b.lengths:
            lines.append(f"{name}: {_shown(a.lengths)} fields against {_shown(b.lengths)}")
            continue
        for place in sorted(a.places.keys() & b.places.keys()):
            here, there = a.places[place] - {"empty"}, b.places[place] - {"empty"}
            if here and there and not here & there:
                lines.append(f"{name}: field {place} is {_listed(here)} against {_listed(there)}")
    return lines


def _kind(text: str) -> str:
    if not text:
        return "empty"
    try:
        Decimal(text)
    except InvalidOperation:
        return "text"
    return "number"


def _name(key: Key) -> str:
    side, number = key
    if side == "client":
        request = REQUESTS.get(int(number))
        return f"client {number} ({request.name if request else 'unknown'})"
    known = number in {str(int(kind)) for kind in Out}
    return f"gateway {number} ({Out(int(number)).name.lower() if known else 'unknown'})"


def _shown(lengths: set[int]) -> str:
    return " or ".join(str(length) for length in sorted(lengths))


def _listed(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))
