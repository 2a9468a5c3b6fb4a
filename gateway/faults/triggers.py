"""When a fault begins: at a moment, after a while, on a request; and the script that lists them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from gateway.codec.requests import REQUESTS
from gateway.faults.registry import Fault, make
from gateway.timeline import SECOND, new_york, to_micros
from models.domain.errors import InvalidInput
from models.domain.sessions import EXCHANGE_TZ

EVENTS = ("connect", "execution")
KEYS = ("fault", "params", "at", "after", "on", "nth")


@dataclass(slots=True, eq=False)
class Trigger:
    """One fault to come. At most one of `at`, `after` and `on`; without any it begins at once.

    `at` is an ISO-8601 moment with its offset, or HH:MM[:SS] in New York, every day; `after` is
    market seconds from when the trigger was set; `on` is the name of a request (placeOrder),
    connect or execution, and `nth` which one of them.
    """

    fault: str
    params: dict[str, Any] = field(default_factory=dict)
    at: str = ""
    after: float | None = None
    on: str = ""
    nth: int = 1
    seen: int = 0
    origin: int | None = None

    def __post_init__(self) -> None:
        """Refuse what can never begin."""
        make(self.fault, self.params)
        if sum((bool(self.at), self.after is not None, bool(self.on))) > 1:
            raise InvalidInput(f"fault {self.fault}: give one of at, after and on, not several")
        if self.on and self.on not in {*EVENTS, *(r.name for r in REQUESTS.values())}:
            raise InvalidInput(
                f"fault {self.fault}: on {self.on!r} is no request of the protocol; give one such "
                f"as placeOrder or reqHistoricalData, or {' or '.join(EVENTS)}"
            )
        if self.at:
            self._at(0)
        if self.nth < 1 or (self.after is not None and self.after < 0):
            raise InvalidInput(f"fault {self.fault}: nth begins at 1 and after at 0")

    @property
    def daily(self) -> bool:
        """Say whether it comes again every day."""
        return bool(self.at) and "-" not in self.at and len(self.at) <= 8

    def moment(self, now: int) -> int | None:
        """Return the market moment at which it begins, None when a request decides that."""
        if self.on:
            return None
        if self.at:
            return self._at(now)
        if self.origin is None:
            self.origin = now
        return self.origin + int((self.after or 0.0) * SECOND)

    def _at(self, now: int) -> int:
        try:
            if self.daily:
                clock = time.fromisoformat(self.at)
                local = new_york(now)
                moment = datetime.combine(local.date(), clock, tzinfo=EXCHANGE_TZ)
                if to_micros(moment) <= now:
                    moment = datetime.combine(
                        local.date() + timedelta(days=1), clock, tzinfo=EXCHANGE_TZ
                    )
                return to_micros(moment)
            moment = datetime.fromisoformat(self.at)
            if moment.tzinfo is None:
                raise ValueError("it has no offset from UTC")
            return to_micros(moment)
        except ValueError as error:
            raise InvalidInput(
                f"fault {self.fault}: at {self.at!r} cannot be read ({error}); write an ISO-8601 "
                "moment with its offset, or HH:MM:SS for a New York time of every day"
            ) from None

    def fires(self) -> bool:
        """Count an occurrence and say whether it is the one."""
        self.seen += 1
        return self.seen == self.nth

    def made(self) -> Fault:
        """Return the fault itself."""
        return make(self.fault, self.params)

    def shown(self) -> dict[str, Any]:
        """Return the trigger as the control socket tells it."""
        waits = f"{self.on} #{self.nth}" if self.on else self.at or f"{self.after} s"
        return {"fault": self.fault, "params": self.params, "waits_for": waits}


def trigger_of(entry: Any, where: str) -> Trigger:
    """Return the trigger that a mapping describes; InvalidInput says where it cannot."""
    if not isinstance(entry, dict) or not isinstance(entry.get("fault"), str):
        raise InvalidInput(f"{where}: an entry is a mapping with 'fault: NAME', not {entry!r}")
    unknown = [key for key in entry if key not in KEYS]
    params = entry.get("params") or {}
    if unknown or not isinstance(params, dict):
        raise InvalidInput(
            f"{where}: {', '.join(map(str, unknown)) or 'params'} is not understood; an entry has "
            f"{', '.join(KEYS)}, and params is a mapping"
        )
    after = entry.get("after")
    try:
        return Trigger(
            entry["fault"],
            params,
            str(entry.get("at") or ""),
            None if after is None else float(after),
            str(entry.get("on") or ""),
            int(entry.get("nth", 1)),
        )
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{where}: {error}; after and nth are numbers") from None
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def read_script(path: Path) -> list[Trigger]:
    """Return the triggers of a YAML file: a list of entries.

    Raises InvalidInput, which names the entry, for a file that cannot be used.
    """
    import yaml

    try:
        # The base loader leaves every value as text: `on` stays a word and 09:31 a time.
        entries = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - builds text only
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"--faults {path} cannot be read: {error}") from None
    if not isinstance(entries, list):
        raise InvalidInput(
            f"--faults {path} must hold a list of entries such as "
            "'- {fault: kill-socket, after: 60}'"
        )
    return [trigger_of(entry, f"{path}, entry {n}") for n, entry in enumerate(entries, 1)]
