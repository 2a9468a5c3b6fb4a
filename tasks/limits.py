"""Read the risk limits from their one file, `limits.toml`, and keep each version in the ledger."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from models.risk.limits import RiskLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from warehouse.ledger import OrderLedger
    from warehouse.ledger.limits_versions import LimitsVersion


@dataclass(frozen=True, slots=True)
class ActiveLimits:
    """The limits that a plan or a session judges by, and their version in the ledger."""

    limits: RiskLimits
    version: LimitsVersion


def load_limits(path: Path) -> RiskLimits:
    """Return the limits that `path` sets; whatever a file with any limit leaves out is its default.

    Raises InvalidInput that names the file and, for a wrong entry, the key and its allowed range.
    A missing file is an error too: no one trades on limits that nobody wrote down.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(
            f"{path} does not exist; restore it from the repository or set ROBO_LIMITS_FILE"
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read ({error.strerror}); mend or replace it"
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text (byte {error.start}); restore it") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}; mend that line") from None
    if not table:  # cut off, or emptied: a restricted list or a tight limit may have stood here
        raise InvalidInput(
            f"{path} sets no limit at all; restore it from the repository, or write down those "
            "that you mean (`robo limits show --version N` prints those that were in force)"
        )
    try:
        return RiskLimits.from_mapping(table)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from None


def canonical_text(limits: RiskLimits) -> str:
    """Return every limit, defaults included, as one sorted line each: equal limits, equal text."""
    lines = sorted(_lines("", _table_of(limits)))
    return "\n".join(lines) + "\n"


def content_hash(limits: RiskLimits) -> str:
    """Return the SHA-256 of the canonical text."""
    return hashlib.sha256(canonical_text(limits).encode()).hexdigest()


def adopt_limits(path: Path, ledger: OrderLedger, by: str, now: datetime) -> ActiveLimits:
    """Read the file and give its content a version in the ledger, a new one if it has changed.

    `by` is the user who runs this, `now` UTC. Raises InvalidInput as `load_limits` does.
    """
    return adopt(load_limits(path), ledger, by, now, source=str(path.name))


def adopt(
    limits: RiskLimits, ledger: OrderLedger, by: str, now: datetime, *, source: str
) -> ActiveLimits:
    """Give limits a version in the ledger, a new one if they differ from the latest."""
    text, found = canonical_text(limits), content_hash(limits)
    return ActiveLimits(limits, ledger.limits.record(text, found, by, now, source))


def changes(before: str, after: str) -> list[tuple[str, str, str]]:
    """Return (limit, value before, value after) wherever two canonical texts differ."""
    old, new = _values(before), _values(after)
    absent = "(absent)"
    return [
        (name, old.get(name, absent), new.get(name, absent))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


@dataclass(slots=True)
class LimitsWatch:
    """Notices, once for each change, that the file no longer says what the session started with."""

    path: Path
    limits: RiskLimits
    version: int
    _told: str = ""
    _seen: tuple[int, int] = (0, 0)

    def notice(self) -> str:
        """Return what to tell about a change that was not told yet, or nothing.

        The session keeps the limits that it started with, whatever the file says.
        """
        if not self._is_touched():
            return ""
        goes_on = (
            f"this session goes on with version {self.version}; the next start uses the file "
            "(`robo halt` stops trading now)"
        )
        try:
            found = load_limits(self.path)
        except InvalidInput as error:
            return self._once(str(error), f"{error}; {goes_on}, and would refuse it")
        if found == self.limits:
            self._told = ""
            return ""
        texts = canonical_text(self.limits), canonical_text(found)
        listed = ", ".join(f"{name} {old} -> {new}" for name, old, new in changes(*texts))
        return self._once(texts[1], f"{self.path.name} was changed ({listed}); {goes_on}")

    def _is_touched(self) -> bool:
        try:
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_size)
        except OSError:
            seen = (-1, -1)
        is_new, self._seen = seen != self._seen, seen
        return is_new

    def _once(self, state: str, text: str) -> str:
        if self._told == state:
            return ""
        self._told = state
        return text


def _lines(prefix: str, table: Mapping[str, object]) -> list[str]:
    found: list[str] = []
    for name, value in table.items():
        if isinstance(value, frozenset):
            found.append(f"{prefix}{name} = [{', '.join(repr(one) for one in sorted(value))}]")
        elif isinstance(value, dict):
            found += _lines(f"{prefix}{name}.", value)
        elif hasattr(value, "__dataclass_fields__"):
            found += _lines(f"{prefix}{name}.", _table_of(value))
        elif isinstance(value, bool):
            found.append(f"{prefix}{name} = {str(value).lower()}")
        elif isinstance(value, float) and value.is_integer():
            found.append(f"{prefix}{name} = {int(value)}")
        else:
            found.append(f"{prefix}{name} = {value}")
    return found


def _table_of(value: Any) -> dict[str, object]:
    return {one.name: getattr(value, one.name) for one in fields(value)}


def _values(text: str) -> dict[str, str]:
    pairs = (line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    return {pair[0]: pair[1] for pair in pairs}
