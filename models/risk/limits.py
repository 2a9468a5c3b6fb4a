"""The risk limits of an account, with the ranges that each may take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import cast

from models.domain.errors import InvalidInput
from models.risk.halt_limits import HaltLimits

_RANGES: dict[str, tuple[float, float]] = {
    "max_order_quantity": (1, 10_000_000),
    "max_order_notional": (1, 1e9),
    "price_collar_bps": (1, 5_000),
    "max_position_weight": (0.001, 1),
    "max_gross_exposure": (0.01, 4),
    "max_net_exposure": (0.01, 4),
    "max_adv_share": (0.00001, 0.25),
    "max_orders_per_minute": (1, 1_800),
    "duplicate_window": (0, 86_400),
    "max_daily_loss": (0.0001, 0.5),
    "max_drawdown": (0.001, 0.9),
    "max_quote_age": (0.1, 3_600),
}
_WHOLE = frozenset({"max_order_quantity", "max_orders_per_minute"})


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Every limit that an order must meet; the defaults suit a small cash account (about 100k USD).

    max_order_quantity: shares of one parent; 10,000 stops a quantity with two digits too many.
    max_order_notional: USD of one parent; 50,000 is half of such an account, above any sane order.
    price_collar_bps: distance of a child's limit from the mid; 100 bps is some twenty times the
        spread of a liquid stock, and far below a slipped decimal point.
    max_position_weight: absolute position over equity; at 0.25 a full book holds four names.
    max_gross_exposure, max_net_exposure: absolute and signed exposure over equity; 1.0 is a cash
        account without borrowing.
    max_adv_share: a parent's share of the 20-day average daily volume; 0.01 keeps impact small.
    max_orders_per_minute: children of the account in any 60 seconds; 120 is two a second, well
        below the gateway's 45 messages a second, and stops a runaway loop within a minute.
    duplicate_window: seconds in which a second order of one strategy, symbol and side is denied.
    max_daily_loss: loss since the day's start over its equity; beyond it only reducing orders pass.
    max_drawdown: loss from the highest equity; the same.
    restricted: symbols that are never traded, in either direction.
    max_quote_age: seconds; a marketable price from an older quote is a guess.
    allow_short: whether a sell may exceed the shares held.
    halts: what else halts trading until a person resumes it.

    Raises InvalidInput naming the field, the value and the allowed range.
    """

    max_order_quantity: int = 10_000
    max_order_notional: float = 50_000.0
    price_collar_bps: float = 100.0
    max_position_weight: float = 0.25
    max_gross_exposure: float = 1.0
    max_net_exposure: float = 1.0
    max_adv_share: float = 0.01
    max_orders_per_minute: int = 120
    duplicate_window: float = 300.0
    max_daily_loss: float = 0.03
    max_drawdown: float = 0.2
    restricted: frozenset[str] = frozenset()
    max_quote_age: float = 5.0
    allow_short: bool = False
    halts: HaltLimits = field(default_factory=HaltLimits)

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            _check_number(name, getattr(self, name), low, high)
        _check_kind("restricted", self.restricted, frozenset, "a set of symbols")
        _check_kind("allow_short", self.allow_short, bool, "true or false")
        _check_kind("halts", self.halts, HaltLimits, "a table of halt limits")

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> RiskLimits:
        """Build limits from a settings mapping; fields left out keep their defaults.

        `restricted` may be any list of symbols. Raises InvalidInput on an unknown name or a value
        that is out of range or of the wrong kind (numbers are not read out of text).
        """
        known = [limit.name for limit in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise InvalidInput(
                f"unknown risk limit {', '.join(unknown)}; the limits are {', '.join(known)}"
            )
        given = dict(values)
        if "restricted" in given:
            given["restricted"] = _symbols(given["restricted"])
        if "halts" in given:
            given["halts"] = HaltLimits.from_table(given["halts"])
        return cls(**given)  # pyright: ignore[reportArgumentType] -- __post_init__ checks each


def _check_number(name: str, value: object, low: float, high: float) -> None:
    allowed = f"a {'whole ' if name in _WHOLE else ''}number from {low:g} to {high:g}"
    kinds = (int,) if name in _WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise InvalidInput(f"risk limit {name} is {value!r}; give {allowed}")
    if not isfinite(value) or not low <= value <= high:
        raise InvalidInput(f"risk limit {name} is {value!r}; give {allowed}")


def _check_kind(name: str, value: object, kind: type, allowed: str) -> None:
    if not isinstance(value, kind):
        raise InvalidInput(f"risk limit {name} is {value!r}; give {allowed}")


def _symbols(value: object) -> frozenset[str]:
    wrong = InvalidInput(f"risk limit restricted is {value!r}; give a list of symbols")
    if not isinstance(value, list | tuple | set | frozenset):
        raise wrong
    symbols: set[str] = set()
    for symbol in cast("Iterable[object]", value):
        if not isinstance(symbol, str) or not symbol.strip():
            raise wrong
        symbols.add(symbol.strip().upper())
    return frozenset(symbols)
