"""Turn the champion's scores into a session's plan: weights, whole shares, checked parents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput, RetryLater, SkipToday
from models.domain.orders import ParentOrder, Side
from models.domain.sessions import TradingSession, previous_session
from models.risk.context import PlanContext
from models.risk.gate import check_parent
from models.risk.limits import RiskLimits
from models.risk.verdict import Verdict, all_passed
from tasks.learning.champion import LoadedModel
from tasks.learning.features import load_recent
from tasks.planning.plan_facts import AccountStanding, symbol_facts

if TYPE_CHECKING:
    import pandas as pd

    from models.portfolio.allocators import Allocator
    from tasks.learning.features import Dataset
    from tasks.settings import Settings
    from warehouse.ledger.symbol_facts import SymbolFacts
    from warehouse.market import MarketWarehouse

STRATEGY = "ml-daily-ranker"
ALGO = "TWAP"
EDGE = timedelta(minutes=5)  # kept off the open and the close, where auctions set the price
VOLATILITY_SESSIONS = 63


def default_allocator() -> Allocator:
    """Return the allocator of the demo's small long-only account."""
    from models.portfolio.allocators import TopQuantileInverseVolatility

    return TopQuantileInverseVolatility()


@dataclass(frozen=True, slots=True)
class RebalanceRules:
    """What is worth trading: at least `min_trade_usd` USD, and beyond `drift_band` of the target.

    250 USD is where IBKR's minimum commission of 1 USD costs 40 bps. `drift_band` is a fraction.
    """

    min_trade_usd: Decimal = Decimal(250)
    drift_band: float = 0.1
    allocator: Callable[[], Allocator] = field(default=default_allocator)


@dataclass(frozen=True, slots=True)
class RebalancePlan:
    """One session's plan. `as_of` is the session whose closes decided it.

    `signals` and `weights` (fractions of equity) are by symbol, `targets` whole shares to hold,
    `prices` the closes in USD. `parents` are all orders, sells first; `verdicts` their pre-trade
    checks by parent id: one that failed a check is kept, and becomes REJECTED in the ledger.
    `facts` is what the session's checks and exits must know of each symbol. `notes`
    says what was left alone and why.
    """

    session: date
    as_of: date
    model_version: str
    decided_at: datetime
    signals: Mapping[str, float]
    weights: Mapping[str, float]
    targets: Mapping[str, int]
    prices: Mapping[str, Decimal]
    parents: tuple[ParentOrder, ...]
    verdicts: Mapping[str, tuple[Verdict, ...]]
    notes: tuple[str, ...]
    facts: tuple[SymbolFacts, ...] = ()

    @property
    def accepted(self) -> tuple[ParentOrder, ...]:
        """The parents that passed every check."""
        return tuple(p for p in self.parents if all_passed(self.verdicts[p.parent_id]))

    @property
    def rejected(self) -> tuple[ParentOrder, ...]:
        """The parents that a check denied."""
        return tuple(p for p in self.parents if not all_passed(self.verdicts[p.parent_id]))


def plan_rebalance(
    warehouse: MarketWarehouse,
    model: LoadedModel,
    *,
    positions: Mapping[str, int],
    equity: Decimal,
    session: TradingSession,
    limits: RiskLimits,
    settings: Settings,
    now: datetime,
    rules: RebalanceRules | None = None,
    recent: Sequence[ParentOrder] = (),
    standing: AccountStanding | None = None,
    blocked: Mapping[str, str] | None = None,
    told_closes: Mapping[str, float] | None = None,
) -> RebalancePlan:
    """Decide what to trade in `session` from the closes before it; sends and stores nothing.

    `positions` are signed shares by symbol, `equity` USD, `now` market time (UTC); `recent` holds
    parents decided lately, for the duplicate check; `standing` is how the account stands; `blocked`
    says why a symbol may not trade; `told_closes` are the broker's last closes (USD), a second
    source for the decision prices, which the close of the session before is where one is missing.
    Positions outside the universe are left alone and their value
    is not invested again. Raises RetryLater when bars of the session before are missing, SkipToday
    when the trading window is over, InvalidInput when the model or a position cannot be used.
    """
    rules = rules or RebalanceRules()
    as_of = previous_session(session.date).date
    start, end = max(session.open + EDGE, now), session.close - EDGE
    if start >= end:
        raise SkipToday(
            f"the trading window of {session.date} ended at {end.isoformat()}; "
            "run robo rebalance for the next session"
        )
    data = _fresh_data(warehouse, settings.universe, as_of, session.date)
    signals = _signals(model, data, as_of)
    prices = _prices(warehouse, data, as_of, positions, session.date)
    foreign = {s: n for s, n in positions.items() if s not in settings.universe and n}
    investable = equity - sum((abs(n) * prices[s] for s, n in foreign.items()), Decimal(0))
    weights = rules.allocator().weights(signals, _volatilities(data, signals))
    targets, deltas = _book(weights, investable, positions, prices, rules)
    template = _Template(session.date, start, end, now, model.version.label)
    parents = tuple(template.parent(s, n, prices[s]) for s, n in deltas.items())
    standing = standing or AccountStanding()
    facts = symbol_facts(
        warehouse, settings.universe, as_of, limits.exits.unit_sessions, on=session.date
    )
    base = PlanContext(
        equity=float(equity),
        positions={symbol: shares for symbol, shares in positions.items() if shares},
        prices={symbol: float(price) for symbol, price in prices.items()},
        adv={one.symbol: one.adv for one in facts if one.adv is not None},
        recent=tuple(recent),
        session=session,
        closes=_closes_before(data, as_of) | dict(told_closes or {}),
        day_start_equity=standing.day_start_equity,
        peak_equity=standing.peak_equity,
        day_trades=standing.day_trades,
        disabled=standing.disabled,
        shortable=standing.shortable,
        blocked=blocked or {},
    )
    return RebalancePlan(
        session=session.date,
        as_of=as_of,
        model_version=model.version.label,
        decided_at=now,
        signals={str(symbol): float(value) for symbol, value in signals.items()},
        weights={str(symbol): float(value) for symbol, value in weights.items()},
        targets=targets,
        prices=prices,
        parents=parents,
        verdicts=_judge(parents, base, limits),
        notes=_notes(foreign, settings.universe, signals),
        facts=facts,
    )


def record_plan(warehouse: MarketWarehouse, plan: RebalancePlan) -> None:
    """Keep the plan's signals (under the session that decided them) and targets in the warehouse.

    Doing it again replaces them. The parents and verdicts belong in the order ledger.
    """
    from warehouse.market.targets import Target

    warehouse.signals.record(plan.as_of, plan.model_version, plan.signals, plan.decided_at)
    warehouse.targets.record(
        plan.session,
        STRATEGY,
        [
            Target(
                session=plan.session,
                strategy=STRATEGY,
                symbol=symbol,
                weight=plan.weights[symbol],
                shares=shares,
                price=plan.prices[symbol],
                at=plan.decided_at,
            )
            for symbol, shares in plan.targets.items()
        ],
    )


def parent_id(session: date, symbol: str) -> str:
    """Return the id of the order in one symbol and session; a dot ends it in order references."""
    return f"{session:%Y%m%d}-ml-{symbol.replace(' ', '_').replace('.', '_')}"


@dataclass(frozen=True, slots=True)
class _Template:
    session: date
    start: datetime
    end: datetime
    decided_at: datetime
    model_version: str

    def parent(self, symbol: str, delta: int, price: Decimal) -> ParentOrder:
        return ParentOrder(
            parent_id=parent_id(self.session, symbol),
            session=self.session,
            strategy=STRATEGY,
            symbol=symbol,
            side=Side.BUY if delta > 0 else Side.SELL,
            quantity=abs(delta),
            algo=ALGO,
            start=self.start,
            end=self.end,
            decision_price=price,
            decided_at=self.decided_at,
            model_version=self.model_version,
        )


def _fresh_data(
    warehouse: MarketWarehouse, universe: Sequence[str], as_of: date, on: date
) -> Dataset:
    """Return the data up to `as_of` in shares of `on`; every symbol must have a bar at `as_of`."""
    stored = warehouse.bars.last_sessions()
    stale = [symbol for symbol in universe if stored.get(symbol, date.min) < as_of]
    if not stale:
        data = load_recent(warehouse, universe, as_of, on)
        closes = data.closes.reindex([as_of])
        stale = [str(symbol) for symbol in closes.columns if closes[symbol].isna().any()]
        if not stale:
            return data
    shown = ", ".join(f"{symbol} (last {stored.get(symbol, 'never')})" for symbol in stale)
    raise RetryLater(
        f"bars of {as_of} are missing for {shown}; run robo ingest, or take a symbol that is no "
        "longer traded out of ROBO_UNIVERSE"
    )


def _signals(model: LoadedModel, data: Dataset, as_of: date) -> pd.Series:
    from models.alpha.ranker import score

    rows = data.features[data.features.index.get_level_values("session") == as_of]
    return score(model.booster, rows).droplevel("session")


def _volatilities(data: Dataset, signals: pd.Series) -> pd.Series:
    from models.features.volatility import realised_volatility

    return realised_volatility(data.closes, VOLATILITY_SESSIONS).reindex(signals.index)


def _prices(
    warehouse: MarketWarehouse,
    data: Dataset,
    as_of: date,
    positions: Mapping[str, int],
    on: date,
) -> dict[str, Decimal]:
    """Return closes (USD, a share of `on`) of the universe at `as_of`, and of other positions."""
    prices = _by_symbol(data.closes.loc[[as_of]].iloc[0])
    others = [symbol for symbol, shares in positions.items() if shares and symbol not in prices]
    if not others:
        return prices
    bars = warehouse.bars.adjusted(others, last=as_of, on=on)
    prices |= _by_symbol(bars.groupby("symbol")["close"].last())
    unknown = sorted(set(others) - set(prices))
    if unknown:
        raise InvalidInput(
            f"the account holds {', '.join(unknown)}, which has no bars and so no value; add it to "
            "ROBO_UNIVERSE and run robo ingest, or close the position by hand"
        )
    return prices


def _closes_before(data: Dataset, as_of: date) -> dict[str, float]:
    """Return the last close (USD) of each symbol before `as_of`: not the bar that decides."""
    earlier = data.closes[data.closes.index < as_of].ffill()
    if earlier.empty:
        return {}
    return {str(symbol): float(close) for symbol, close in earlier.iloc[-1].dropna().items()}


def _by_symbol(closes: pd.Series) -> dict[str, Decimal]:
    return {str(s): Decimal(repr(round(float(price), 6))) for s, price in closes.items()}


def _book(
    weights: pd.Series,
    investable: Decimal,
    positions: Mapping[str, int],
    prices: Mapping[str, Decimal],
    rules: RebalanceRules,
) -> tuple[dict[str, int], dict[str, int]]:
    """Return target shares and the signed trades that reach them, of the scored symbols only."""
    from models.portfolio.sizing import target_shares, trades

    targets = target_shares(weights, investable, prices)
    current = {symbol: positions.get(symbol, 0) for symbol in targets}
    return targets, trades(current, targets, prices, rules.min_trade_usd, rules.drift_band)


def _judge(
    parents: Sequence[ParentOrder], base: PlanContext, limits: RiskLimits
) -> dict[str, tuple[Verdict, ...]]:
    """Check each parent, the accepted ones before it pending: sells come first and make room.

    Those before it also count as decided lately, for the duplicate check and the rate.
    """
    pending: dict[str, int] = {}
    recent = base.recent
    verdicts: dict[str, tuple[Verdict, ...]] = {}
    for order in parents:
        found = check_parent(order, replace(base, pending=dict(pending), recent=recent), limits)
        verdicts[order.parent_id] = found
        if all_passed(found):
            pending[order.symbol] = order.side.sign * order.quantity
            recent = (*recent, order)
    return verdicts


def _notes(
    foreign: Mapping[str, int], universe: Sequence[str], signals: pd.Series
) -> tuple[str, ...]:
    notes = [f"{s}: {n} shares are outside the universe, left alone" for s, n in foreign.items()]
    unscored = sorted(set(universe) - {str(symbol) for symbol in signals.index})
    return (*notes, *(f"{s}: too little history to score, left alone" for s in unscored))
