"""The limits whose breach halts trading until a person resumes it (`[halts]` in limits.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, cast

from models.domain.errors import InvalidInput

_RANGES: dict[str, tuple[float, float]] = {
    "max_heartbeat_loss": (1, 86_400),
    "max_quote_silence": (1, 86_400),
    "max_order_attempts": (1, 100_000),
    "max_rejects": (1, 10_000),
    "reject_window": (1, 86_400),
}
_WHOLE = frozenset({"max_order_attempts", "max_rejects"})


@dataclass(frozen=True, slots=True)
class HaltLimits:
    """What may go wrong before trading stops by itself; daily loss and drawdown halt as well.

    max_heartbeat_loss: wall-clock seconds for which a working session may be without an answer of
        the gateway; 120 is longer than a reconnect, shorter than a move that matters.
    max_quote_silence: market seconds of an open session without a quote of any symbol at work; no
        child is priced off a quote older than max_quote_age long before that.
    max_order_attempts: children in any 60 seconds of market time that the schedule wants, sent or
        denied; twice the limit of sends, which a busy but sane moment does not reach.
    max_rejects, reject_window: refusals by the broker within so many seconds of market time.

    Raises InvalidInput naming the field, the value and the allowed range.
    """

    max_heartbeat_loss: float = 120.0
    max_quote_silence: float = 300.0
    max_order_attempts: int = 240
    max_rejects: int = 5
    reject_window: float = 600.0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value: Any = getattr(self, name)
            kinds = (int,) if name in _WHOLE else (int, float)
            is_number = isinstance(value, kinds) and not isinstance(value, bool)
            if not is_number or not isfinite(value) or not low <= value <= high:
                whole = "whole " if name in _WHOLE else ""
                raise InvalidInput(
                    f"halt limit halts.{name} is {value!r}; give a {whole}number from {low:g} to "
                    f"{high:g}"
                )

    @classmethod
    def from_table(cls, table: object) -> HaltLimits:
        """Build the limits from the `[halts]` table; what it leaves out keeps its default.

        Raises InvalidInput on an unknown name or a value that cannot be used.
        """
        if not isinstance(table, Mapping):
            raise InvalidInput(f"halts is {table!r}; make it a table: [halts] and its limits below")
        given = {str(name): value for name, value in cast("Mapping[object, Any]", table).items()}
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise InvalidInput(
                f"unknown halt limit halts.{', halts.'.join(unknown)}; the limits are "
                f"{', '.join(known)}"
            )
        return cls(**given)
