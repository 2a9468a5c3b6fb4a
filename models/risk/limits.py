"""The risk limits of an account, with the ranges that each may take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import cast

from models.domain.errors import InvalidInput
from models.risk.exits import ExitRules
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
    "max_price_gap": (0.01, 1),
    "quote_jump_sigmas": (3, 100),
    "quote_volatility": (0.001, 0.5),
    "quote_confirm": (1, 3_600),
    "max_attempts": (1, 100),
    "max_rejects": (1, 100),
    "max_day_trades": (0, 1_000),
    "day_trade_equity": (0, 1e9),
    "max_initial_margin": (0.01, 1),
}
_WHOLE = frozenset(
    {
        *("max_order_quantity", "max_orders_per_minute"),
        *("max_attempts", "max_rejects", "max_day_trades"),
    }
)


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
    allow_short: whether a sell may exceed the shares held (and then what may be borrowed).
    max_price_gap: decision price from the last close, and the day's first quote from the decision
        price; 0.3 lets an earnings gap pass and a slipped decimal or a split not.
    quote_jump_sigmas, quote_volatility, quote_confirm: a quote further from the last good one than
        so many standard deviations of the time between them (at a daily volatility of
        quote_volatility) is used only once the new level has lasted quote_confirm seconds.
    max_attempts, max_rejects: automatic attempts at one slice, and refusals by the broker in one
        symbol and day (three times that for a strategy), after which a person must enable it again.
    max_day_trades, day_trade_equity: day trades in five sessions while equity is below so many USD
        (FINRA Rule 4210(f)(8)); an equity of 0 turns the check off.
    margin_account, max_initial_margin: ask the broker what each parent would need (what-if), and
        deny beyond this share of equity with loan value. Asked as well when shorting is allowed.
    halts: what else halts trading until a person resumes it.
    exits: stops and targets, see ExitRules.

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
    max_price_gap: float = 0.3
    quote_jump_sigmas: float = 10.0
    quote_volatility: float = 0.03
    quote_confirm: float = 30.0
    max_attempts: int = 8
    max_rejects: int = 5
    max_day_trades: int = 3
    day_trade_equity: float = 25_000.0
    margin_account: bool = False
    max_initial_margin: float = 0.9
    exits: ExitRules = field(default_factory=ExitRules)

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            _check_number(name, getattr(self, name), low, high)
        _check_kind("restricted", self.restricted, frozenset, "a set of symbols")
        _check_kind("allow_short", self.allow_short, bool, "true or false")
        _check_kind("halts", self.halts, HaltLimits, "a table of halt limits")
        _check_kind("margin_account", self.margin_account, bool, "true or false")
        _check_kind("exits", self.exits, ExitRules, "a table [exits]")

    @property
    def asks_for_margin(self) -> bool:
        """Say whether the broker is asked what an order would need before it is accepted."""
        return self.margin_account or self.allow_short

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> RiskLimits:
        """Build limits from a settings mapping; fields left out keep their defaults.

        `restricted` may be any list of symbols. Raises InvalidInput on an unknown name or a value
        that is out of range or of the wrong kind (numbers are not read out of text).
        """
        known = [one.name for one in fields(cls)]
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
        if "exits" in given and not isinstance(given["exits"], ExitRules):
            given["exits"] = ExitRules.from_mapping(given["exits"])
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
