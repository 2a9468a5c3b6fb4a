"""What one universe trades, holds, protects and suffers: drawn from its seed, before anything runs.

Four kinds: `buys`, as the first soak had; `book`, sells of what is held beside buys; `resting` and
`monitored`, the same under stops and targets. `verbs` says that a person halts, flattens and
resumes in between, or that SIGTERM comes.
"""

import random
from dataclasses import dataclass, field

from models.domain.orders import Side
from models.execution.curves import CURVES
from tasks.session.exits import ALGO as EXIT

SYMBOLS = ("KO", "PFE", "XOM", "BAC", "WMT")
SHAPES = {"buys": 20, "book": 30, "resting": 35, "monitored": 15}
ALGOS = tuple(sorted(set(CURVES) - {EXIT}))
WITH_VERBS = 0.4
ON_POSTGRES = 0.12
NEAR, FAR = 0.02, 1.5  # USD of true range: the day's noise reaches a stop at the first
# Longer than two looks: one order at a time, since its id is what keeps it from doubling another.
OVERDUE = {"ms": 600, "count": 1}
# What the gateway does to all of a universe's orders: (name, parameters, share of universes).
TROUBLES = (
    ("late-orders", {"ms": 60, "count": 0}, 0.25),  # under way when the look-up comes
    ("late-orders", OVERDUE, 0.15),
    ("duplicate-status", {"copies": 3, "count": 0}, 0.15),
    ("early-commission", {"count": 0}, 0.15),
    ("missing-status", {"status": "Filled", "count": 4}, 0.15),
    ("drop-ack", {"count": 3}, 0.15),
    ("partial-fill", {"share": 0.4, "count": 3}, 0.2),
    ("slow-responses", {"ms": 15, "jitter": 10}, 0.1),
)


@dataclass(frozen=True)
class Trade:
    """One parent order to come."""

    symbol: str
    side: Side
    quantity: int
    algo: str

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol} by {self.algo}"


@dataclass(frozen=True)
class Scenario:
    """One universe's plan; `held` are shares bought by hand, `ranges` USD of true range."""

    shape: str
    slices: int
    on_stop: str
    verbs: bool
    postgres: bool
    held: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, float] = field(default_factory=dict)
    phases: tuple[tuple[Trade, ...], ...] = ()
    troubles: tuple[tuple[str, dict], ...] = ()

    @property
    def exits(self) -> str:
        return self.shape if self.shape in ("resting", "monitored") else "off"

    def children(self, phase: int) -> int:
        """Return about how many orders a phase sends."""
        parents = len(self.phases[phase])
        return parents * self.slices * (3 if self.exits == "resting" else 1)

    def lines(self) -> list[str]:
        held = ", ".join(f"{count} {symbol}" for symbol, count in self.held.items()) or "nothing"
        place = "PostgreSQL" if self.postgres else "SQLite"
        verbs = ", a person halts and resumes" if self.verbs else ""
        told = [f"{self.shape} on {place}, {self.slices} slices, on_stop {self.on_stop}{verbs}"]
        told += [f"holds {held}"] if self.held else []
        told += [f"true range {self.ranges} USD"] if self.ranges else []
        for number, trades in enumerate(self.phases, 1):
            told.append(f"phase {number}: " + "; ".join(map(str, trades)))
        return told + [f"the gateway has {name} {params}" for name, params in self.troubles]


def scenario_of(seed: int, *, with_postgres: bool = True) -> Scenario:
    """Return the scenario of a seed; without a PostgreSQL server all is the same on SQLite."""
    rng = random.Random(f"scenario {seed}")
    shape = rng.choices(list(SHAPES), SHAPES.values())[0]
    symbols = rng.sample(SYMBOLS, rng.randint(2, 4))
    held = {} if shape == "buys" else {s: rng.randint(10, 60) for s in symbols[: rng.randint(0, 2)]}
    slices, verbs = rng.randint(2, 4), shape != "buys" and rng.random() < WITH_VERBS
    on_stop = rng.choice(("cancel", "leave"))
    on_server = rng.random() < ON_POSTGRES
    phases = _phases(rng, shape, symbols, held)
    is_protected = shape in ("resting", "monitored")
    ranges = {s: rng.choice((NEAR, FAR, FAR)) for s in symbols} if is_protected else {}
    troubles = tuple((name, params) for name, params, share in TROUBLES if rng.random() < share)
    return Scenario(
        shape,
        slices,
        on_stop,
        verbs,
        on_server and with_postgres,
        held,
        ranges,
        phases,
        troubles,
    )


def _phases(
    rng: random.Random, shape: str, symbols: list[str], held: dict[str, int]
) -> tuple[tuple[Trade, ...], ...]:
    """Return one to three plans; none sells more than the ones before it leave."""
    shares = dict.fromkeys(symbols, 0) | held
    phases: list[tuple[Trade, ...]] = []
    for _ in range(1 if shape == "buys" else rng.randint(1, 3)):
        trades: list[Trade] = []
        for symbol in symbols if not phases else rng.sample(symbols, rng.randint(1, len(symbols))):
            sells = shape != "buys" and shares[symbol] > 0 and rng.random() < 0.6
            most = shares[symbol] if sells else 60
            count = most if sells and rng.random() < 0.4 else rng.randint(min(5, most), most)
            side = Side.SELL if sells else Side.BUY
            shares[symbol] += side.sign * count
            trades.append(Trade(symbol, side, count, rng.choice(ALGOS)))
        phases.append(tuple(trades))
    return tuple(phases)
