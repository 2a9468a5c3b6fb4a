"""Planning a session: from the champion's scores to checked parent orders, without hindsight."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from models.alpha.labels import rank_labels
from models.alpha.ranker import RankerParams, train
from models.domain.errors import InvalidInput, RetryLater, SkipToday
from models.domain.orders import ParentState, Side
from models.domain.sessions import TradingSession, session_on
from models.portfolio.allocators import EqualWeight
from models.risk.limits import RiskLimits
from tasks.learning.champion import LoadedModel
from tasks.learning.features import load_dataset
from tasks.planning.portfolio import (
    STRATEGY,
    RebalancePlan,
    RebalanceRules,
    parent_id,
    plan_rebalance,
    record_plan,
)
from tasks.settings import Settings, load_settings
from tasks.tracking import ModelVersion
from warehouse.ledger import OrderLedger
from warehouse.market import MarketWarehouse

Maker = Callable[..., pd.DataFrame]
SYMBOLS = ("AAPL", "AMD", "BAC", "GE", "HD", "JPM", "KO", "PFE", "PG", "XOM")
DAY = date(2022, 12, 28)
BEFORE = date(2022, 12, 27)
NOW = datetime(2022, 12, 28, 13, 0, tzinfo=UTC)
EQUITY = Decimal("100000")


def session_of(day: date) -> TradingSession:
    session = session_on(day)
    assert session is not None
    return session


@pytest.fixture(scope="module")
def store(make_bars: Maker, tmp_path_factory: pytest.TempPathFactory) -> MarketWarehouse:
    path = tmp_path_factory.mktemp("plan") / "warehouse.duckdb"
    warehouse = MarketWarehouse(path, deadline=2.0)
    bars = make_bars(symbols=[*SYMBOLS, "WMT"], first=date(2019, 1, 2), last=BEFORE)
    warehouse.bars.merge_daily(bars, "test", NOW)
    return warehouse


@pytest.fixture(scope="module")
def model(store: MarketWarehouse) -> LoadedModel:
    data = load_dataset(store, SYMBOLS)
    params = RankerParams(rounds=20, min_data_in_leaf=50, num_threads=1)
    booster = train(data.features, rank_labels(data.closes, 5), params)
    version = ModelVersion("robo-daily-ranker", "3", "run", "m-1", "f", True, (), {})
    return LoadedModel(version, booster, tuple(booster.feature_name()))


@pytest.fixture
def plan(
    store: MarketWarehouse, model: LoadedModel, settings: Settings
) -> Callable[..., RebalancePlan]:
    return planner(store, model, settings.home)


def planner(store: MarketWarehouse, model: LoadedModel, home: Path) -> Callable[..., RebalancePlan]:
    def make(**changes: object) -> RebalancePlan:
        given: dict[str, object] = {
            "positions": {},
            "equity": EQUITY,
            "session": session_of(DAY),
            "limits": RiskLimits(),
            "settings": load_settings(home=home, universe=SYMBOLS),
            "now": NOW,
        }
        return plan_rebalance(changes.pop("store", store), model, **(given | changes))

    return make


def test_plan_from_cash_buys_the_top_of_the_ranking(plan: Callable[..., RebalancePlan]) -> None:
    made = plan()
    held = {symbol for symbol, weight in made.weights.items() if weight > 0}
    best = sorted(made.signals, key=lambda symbol: -made.signals[symbol])[: len(held)]
    assert held == set(best) and len(held) == 4
    assert made.session == DAY and made.as_of == BEFORE
    assert {order.symbol for order in made.parents} == held
    assert made.accepted == made.parents and made.rejected == ()
    spent = sum(order.quantity * order.decision_price for order in made.parents)
    assert 0 < spent <= Decimal("0.95") * EQUITY


def test_parent_orders_carry_what_execution_needs(plan: Callable[..., RebalancePlan]) -> None:
    session = session_of(DAY)
    for order in plan().parents:
        assert order.parent_id == f"20221228-ml-{order.symbol}"
        assert (order.strategy, order.algo, order.session) == (STRATEGY, "TWAP", DAY)
        assert order.start == session.open + timedelta(minutes=5)
        assert order.end == session.close - timedelta(minutes=5)
        assert (order.decided_at, order.model_version) == (NOW, "robo-daily-ranker/3")
        assert order.limit_price is None


def test_decision_price_is_the_last_close_exactly(
    plan: Callable[..., RebalancePlan], store: MarketWarehouse
) -> None:
    closes = store.bars.daily(first=BEFORE, last=BEFORE).set_index("symbol")["close"]
    for order in plan().parents:
        assert order.decision_price == Decimal(repr(round(float(closes[order.symbol]), 6)))


def test_order_id_has_no_dot_or_space() -> None:
    assert parent_id(DAY, "BRK.B") == "20221228-ml-BRK_B"
    assert parent_id(DAY, "BRK B") == "20221228-ml-BRK_B"


def test_plan_is_the_same_again(plan: Callable[..., RebalancePlan]) -> None:
    assert plan() == plan()


def test_book_at_target_needs_no_trade(plan: Callable[..., RebalancePlan]) -> None:
    assert plan(positions=plan().targets).parents == ()


def test_sells_come_first_and_close_what_is_not_wanted(
    plan: Callable[..., RebalancePlan],
) -> None:
    unwanted = [symbol for symbol, shares in plan().targets.items() if not shares][:2]
    made = plan(positions={unwanted[0]: 100, unwanted[1]: 7})
    sides = [order.side for order in made.parents]
    assert sides == sorted(sides, key=lambda side: side is Side.BUY)
    sold = {order.symbol: order.quantity for order in made.parents if order.side is Side.SELL}
    assert sold == {unwanted[0]: 100, unwanted[1]: 7}
    assert made.rejected == ()


def test_sales_make_room_for_purchases(plan: Callable[..., RebalancePlan]) -> None:
    """A fully invested book passes the gross limit only because its sales come first."""
    first = plan()
    unwanted = [symbol for symbol, shares in first.targets.items() if not shares][:4]
    full = {symbol: int(Decimal(24000) / first.prices[symbol]) for symbol in unwanted}
    assert plan(positions=full).rejected == ()


def test_rejected_parents_are_kept_with_their_reason(
    plan: Callable[..., RebalancePlan], ledger: OrderLedger
) -> None:
    made = plan(limits=RiskLimits(max_order_quantity=100))
    assert {order.quantity > 100 for order in made.rejected} == {True}
    assert {order.quantity > 100 for order in made.accepted} == {False}
    stored = ledger.parents.replace_plan(DAY, STRATEGY, made.parents, made.verdicts)
    states = {record.order.parent_id: record.state for record in stored}
    for order in made.rejected:
        assert states[order.parent_id] is ParentState.REJECTED
        assert "100" in ledger.parents.get(order.parent_id).reason
    assert all(states[order.parent_id] is ParentState.NEW for order in made.accepted)


def test_restricted_symbol_is_not_bought(plan: Callable[..., RebalancePlan]) -> None:
    symbol = plan().parents[0].symbol
    made = plan(limits=RiskLimits(restricted=frozenset({symbol})))
    assert [order.symbol for order in made.rejected] == [symbol]


def test_duplicate_of_a_recent_order_is_denied(plan: Callable[..., RebalancePlan]) -> None:
    from dataclasses import replace

    order = plan().parents[0]
    other = replace(order, parent_id="another", decided_at=NOW - timedelta(seconds=10))
    assert [denied.symbol for denied in plan(recent=[other]).rejected] == [order.symbol]


def test_a_decision_price_far_from_the_brokers_own_close_is_denied(
    plan: Callable[..., RebalancePlan],
) -> None:
    order = plan().parents[0]
    pennies = float(order.decision_price) / 100
    assert [denied.symbol for denied in plan(told_closes={order.symbol: pennies}).rejected] == [
        order.symbol
    ]


def test_a_wrong_bar_does_not_vouch_for_itself(
    plan: Callable[..., RebalancePlan], make_bars: Maker, tmp_path: Path
) -> None:
    """Without the broker's word the close of the session before stands against a slipped one."""
    bars = make_bars(symbols=list(SYMBOLS), first=date(2020, 1, 2), last=BEFORE)
    last = (bars["symbol"] == "KO") & (bars["session"] == BEFORE)
    bars.loc[last, ["open", "high", "low", "close"]] *= 10
    slipped = MarketWarehouse(tmp_path / "slipped.duckdb", deadline=2.0)
    slipped.bars.merge_daily(bars, "test", NOW)
    made = plan(store=slipped, positions={"KO": 400})
    (order,) = [order for order in made.parents if order.symbol == "KO"]
    failed = {v.check for v in made.verdicts[order.parent_id] if not v.passed}
    assert "price" in failed


def test_the_plans_own_orders_count_against_the_rate(plan: Callable[..., RebalancePlan]) -> None:
    planned = len(plan().parents)
    made = plan(limits=RiskLimits(max_orders_per_minute=planned - 1))
    assert (len(made.accepted), len(made.rejected)) == (planned - 1, 1)


def test_later_bars_change_nothing(
    plan: Callable[..., RebalancePlan], make_bars: Maker, tmp_path: Path
) -> None:
    knowing = MarketWarehouse(tmp_path / "later.duckdb", deadline=2.0)
    later = make_bars(symbols=[*SYMBOLS, "WMT"], first=date(2019, 1, 2), last=DAY)
    today = later["session"] == DAY
    later.loc[today, ["open", "high", "low", "close"]] *= 3.0
    knowing.bars.merge_daily(later, "test", NOW)
    assert plan(store=knowing) == plan()


def test_stale_bars_ask_for_an_ingest(plan: Callable[..., RebalancePlan]) -> None:
    with pytest.raises(RetryLater, match=r"2022-12-28 are missing for AAPL.*robo ingest"):
        plan(session=session_of(date(2022, 12, 29)), now=NOW + timedelta(days=1))


def test_one_stale_symbol_is_named(
    plan: Callable[..., RebalancePlan], make_bars: Maker, tmp_path: Path
) -> None:
    bars = make_bars(symbols=list(SYMBOLS), first=date(2020, 1, 2), last=BEFORE)
    halted = MarketWarehouse(tmp_path / "halted.duckdb", deadline=2.0)
    missing = (bars["symbol"] == "KO") & (bars["session"] == BEFORE)
    halted.bars.merge_daily(bars[~missing], "test", NOW)
    with pytest.raises(RetryLater, match=r"missing for KO \(last 2022-12-23\)"):
        plan(store=halted)


def test_symbol_with_a_short_history_is_left_alone(
    plan: Callable[..., RebalancePlan], make_bars: Maker, tmp_path: Path
) -> None:
    bars = make_bars(symbols=list(SYMBOLS), first=date(2020, 1, 2), last=BEFORE)
    listed = MarketWarehouse(tmp_path / "listed.duckdb", deadline=2.0)
    early = (bars["symbol"] == "KO") & (bars["session"] < date(2022, 6, 1))
    listed.bars.merge_daily(bars[~early], "test", NOW)
    made = plan(store=listed, positions={"KO": 50})
    assert "KO" not in made.signals and "KO" not in {order.symbol for order in made.parents}
    assert any(note.startswith("KO: too little history") for note in made.notes)


def test_position_outside_the_universe_is_left_alone(plan: Callable[..., RebalancePlan]) -> None:
    made = plan(positions={"WMT": 300})
    assert "WMT" not in {order.symbol for order in made.parents}
    assert any(note.startswith("WMT: 300 shares") for note in made.notes)
    invested = sum(made.targets[symbol] * made.prices[symbol] for symbol in made.targets)
    assert invested <= Decimal("0.95") * (EQUITY - 300 * made.prices["WMT"])
    assert made.rejected == ()


def test_position_without_a_price_is_refused(plan: Callable[..., RebalancePlan]) -> None:
    with pytest.raises(InvalidInput, match=r"holds ZZZ.*ROBO_UNIVERSE"):
        plan(positions={"ZZZ": 5})
    assert plan(positions={"ZZZ": 0}).parents


@pytest.mark.parametrize("equity", ["0", "-5", "NaN"])
def test_account_without_equity_is_refused(plan: Callable[..., RebalancePlan], equity: str) -> None:
    with pytest.raises(InvalidInput, match="equity"):
        plan(equity=Decimal(equity))


def test_plan_made_during_the_session_starts_now(plan: Callable[..., RebalancePlan]) -> None:
    noon = datetime(2022, 12, 28, 17, 0, tzinfo=UTC)
    assert {order.start for order in plan(now=noon).parents} == {noon}


def test_plan_after_the_window_is_skipped(plan: Callable[..., RebalancePlan]) -> None:
    with pytest.raises(SkipToday, match="next session"):
        plan(now=datetime(2022, 12, 28, 20, 55, tzinfo=UTC))


def test_window_ends_early_on_a_half_day(plan: Callable[..., RebalancePlan]) -> None:
    half = session_of(date(2022, 11, 25))
    made = plan(session=half, now=half.open - timedelta(hours=1))
    assert {order.end for order in made.parents} == {datetime(2022, 11, 25, 17, 55, tzinfo=UTC)}


def test_allocator_and_thresholds_are_exchangeable(plan: Callable[..., RebalancePlan]) -> None:
    rules = RebalanceRules(Decimal(0), 0.0, allocator=EqualWeight)
    assert set(plan(rules=rules).weights.values()) == {0.95 / len(SYMBOLS)}
    costly = RebalanceRules(min_trade_usd=Decimal(10**9))
    assert plan(rules=costly).parents == ()


def test_plan_is_recorded_and_replaced(plan: Callable[..., RebalancePlan], tmp_path: Path) -> None:
    other = MarketWarehouse(tmp_path / "records.duckdb", deadline=2.0)
    made = plan()
    for _ in range(2):
        record_plan(other, made)
    signals = other.signals.of_session(BEFORE)
    assert dict(zip(signals["symbol"], signals["score"], strict=True)) == dict(made.signals)
    targets = other.targets.of_session(DAY, STRATEGY)
    assert {target.symbol: target.shares for target in targets} == dict(made.targets)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    positions=st.dictionaries(st.sampled_from(SYMBOLS), st.integers(0, 400), max_size=10),
    equity=st.integers(20_000, 300_000),
    cap=st.sampled_from([0.1, 0.2, 1.0]),
)
def test_accepted_orders_never_break_the_limits(
    store: MarketWarehouse,
    model: LoadedModel,
    tmp_path: Path,
    positions: dict[str, int],
    equity: int,
    cap: float,
) -> None:
    limits = RiskLimits(max_position_weight=cap)
    made = planner(store, model, tmp_path)(
        positions=positions, equity=Decimal(equity), limits=limits
    )
    after = dict(positions)
    for order in made.accepted:
        after[order.symbol] = after.get(order.symbol, 0) + order.side.sign * order.quantity
        assert order.quantity <= limits.max_order_quantity
        assert order.quantity * order.decision_price <= limits.max_order_notional
    assert min(after.values(), default=0) >= 0
    for symbol in {order.symbol for order in made.accepted if order.side is Side.BUY}:
        assert after[symbol] * float(made.prices[symbol]) <= cap * equity * (1 + 1e-9)

    def gross(book: dict[str, int]) -> float:
        return sum(shares * float(made.prices[symbol]) for symbol, shares in book.items())

    if any(order.side is Side.BUY for order in made.accepted):
        assert gross(after) <= max(equity, gross(positions)) * (1 + 1e-9)
