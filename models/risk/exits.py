"""Stops and targets: how far from the entry a position is given up or taken home, by regime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import cast

from models.domain.errors import InvalidInput
from models.domain.market_rules import REG_NMS, MarketRule
from models.domain.orders import Side
from models.domain.regimes import Regime

MODES = ("off", "resting", "monitored")
_STOPS = {"bull": 3.0, "bear": 2.0, "volatile": 3.5, "ranging": 2.0, "crash": 1.5}
_TARGETS = {"bull": 6.0, "bear": 3.0, "volatile": 5.0, "ranging": 3.0, "crash": 2.0}
_LOW, _HIGH = 0.25, 20.0


@dataclass(frozen=True, slots=True)
class ExitRules:
    """How positions are protected.

    `mode`: off; resting (a stop and a limit target at the broker, in one one-cancels-all group);
    monitored (the session watches and sends). `unit_sessions`: sessions of the average true range
    that distances are multiples of. `stops` and `targets`: multiples, by regime. Raises
    InvalidInput naming the key, the value and what is allowed.
    """

    mode: str = "off"
    unit_sessions: int = 14
    stops: Mapping[str, float] = field(default_factory=lambda: dict(_STOPS))
    targets: Mapping[str, float] = field(default_factory=lambda: dict(_TARGETS))

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidInput(
                f"risk limit exits.mode is {self.mode!r}; give one of {', '.join(MODES)}"
            )
        if not _is_sessions(self.unit_sessions):
            raise InvalidInput(
                f"risk limit exits.unit_sessions is {self.unit_sessions!r}; "
                "give a whole number from 2 to 63"
            )
        for name, table in (("stops", self.stops), ("targets", self.targets)):
            for regime in Regime:
                _check_multiple(f"exits.{name}.{regime}", table.get(regime.value))

    @classmethod
    def from_mapping(cls, values: object) -> ExitRules:
        """Build the rules from the table [exits]; what it leaves out keeps its default."""
        given = _table("exits", values)
        known = ("mode", "unit_sessions", "stops", "targets")
        _refuse_unknown("exits", given, known)
        regimes = tuple(regime.value for regime in Regime)
        for name, default in (("stops", _STOPS), ("targets", _TARGETS)):
            if name in given:
                table = _table(f"exits.{name}", given[name])
                _refuse_unknown(f"exits.{name}", table, regimes)
                given[name] = {**default, **table}
        return cls(**given)  # pyright: ignore[reportArgumentType] -- __post_init__ checks each


@dataclass(frozen=True, slots=True)
class ExitLevels:
    """The prices (USD) that end a position: `side` is the side of the exit orders."""

    side: Side
    stop: Decimal
    target: Decimal
    regime: Regime


def exit_levels(
    shares: int,
    entry: Decimal,
    unit: float,
    regime: Regime,
    rules: ExitRules,
    *,
    market_rule: MarketRule = REG_NMS,
) -> ExitLevels | None:
    """Return stop and target of a position of signed `shares` entered at `entry` USD.

    `unit` is the average true range in USD. Levels are on a tick of `market_rule`, the stop on the
    near side. None for no position, when a level would not be a positive price (a short's target,
    or the stop of a share that costs less than its distance), and when ticks are too coarse for a
    stop that loses.
    """
    if shares == 0 or not entry.is_finite() or entry <= 0 or not isfinite(unit) or unit <= 0:
        return None
    sign = 1 if shares > 0 else -1
    distance = Decimal(repr(unit))
    stop = entry - sign * distance * Decimal(repr(rules.stops[regime.value]))
    target = entry + sign * distance * Decimal(repr(rules.targets[regime.value]))
    if min(stop, target) <= 0:
        return None
    side = Side.SELL if shares > 0 else Side.BUY
    stop, target = market_rule.rounded(stop, side), market_rule.rounded(target, side)
    if min(stop, target) <= 0 or (entry - stop) * sign <= 0 or (target - entry) * sign <= 0:
        return None
    return ExitLevels(side, stop, target, regime)


def tightened(before: ExitLevels, after: ExitLevels) -> ExitLevels:
    """Return `after` with a stop no looser than the one before: a stop is never moved away."""
    if before.side is not after.side:
        return after
    nearer = max if after.side is Side.SELL else min
    stop = nearer(before.stop, after.stop)
    return ExitLevels(after.side, stop, after.target, after.regime)


def is_hit(levels: ExitLevels, bid: Decimal, ask: Decimal) -> str:
    """Return "stop" or "target" when the market has reached it, else nothing.

    A long is sold at the bid, a short bought back at the ask.
    """
    if levels.side is Side.SELL:
        return "stop" if bid <= levels.stop else "target" if bid >= levels.target else ""
    return "stop" if ask >= levels.stop else "target" if ask <= levels.target else ""


def _is_sessions(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= 63


def _check_multiple(name: str, value: object) -> None:
    allowed = f"a number from {_LOW:g} to {_HIGH:g} (times the average true range)"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidInput(f"risk limit {name} is {value!r}; give {allowed}")
    if not isfinite(value) or not _LOW <= value <= _HIGH:
        raise InvalidInput(f"risk limit {name} is {value!r}; give {allowed}")


def _table(name: str, value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"risk limit {name} is {value!r}; give a table [{name}]")
    return dict(cast("Mapping[str, object]", value))


def _refuse_unknown(name: str, given: Mapping[str, object], known: tuple[str, ...]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InvalidInput(
            f"unknown risk limit {', '.join(f'{name}.{key}' for key in unknown)}; "
            f"{name} has {', '.join(known)}"
        )
