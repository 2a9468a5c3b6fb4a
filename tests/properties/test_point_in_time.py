"""What was known at a moment stays what it was, whatever is learnt later."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.domain.corporate_actions import ActionKind, Adjustment, CorporateAction
from models.domain.instruments import Instrument, Membership, SymbolSpan, TickStep
from models.domain.sessions import session_dates
from models.features.daily import WARM_UP_SESSIONS
from tasks.learning.features import load_dataset, load_recent
from tasks.sources.tickers import TickerBook
from warehouse.market import MarketWarehouse

SESSIONS = session_dates(date(2019, 1, 2), date(2020, 2, 28))[: WARM_UP_SESSIONS + 6]
FIRST, LATE = SESSIONS[:-3], SESSIONS[-3:]
TODAY = SESSIONS[-4]  # the last session that is there from the start
RENAMED = SESSIONS[-2]  # A is traded as AX from then on, and D as A, once that is known
SYMBOLS = ("A", "B", "C")
LEARNT = datetime(2020, 3, 1, tzinfo=UTC)
PEERS = "peers"


def _bars(seed: int, sessions: tuple[date, ...]) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frames = []
    for symbol in SYMBOLS:
        close = 50.0 * np.exp(np.cumsum(generator.normal(0, 0.02, len(sessions))))
        prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
        volume = generator.integers(100, 900, len(sessions))
        frames.append(
            pd.DataFrame({"symbol": symbol, "session": sessions, **prices, "volume": volume})
        )
    return pd.concat(frames, ignore_index=True)


@dataclass
class View:
    """All that research reads, as it was known at a moment."""

    frames: tuple[pd.DataFrame, ...]
    facts: tuple[object, ...]

    @classmethod
    def of(cls, store: MarketWarehouse, at: datetime | None) -> "View":
        members = store.universes.ever(PEERS, FIRST[0], TODAY, as_of=at)
        recent = load_recent(store, members, TODAY, as_of=at)
        paid = store.bars.adjusted(
            last=TODAY, on=TODAY, adjustment=Adjustment.TOTAL_RETURN, as_of=at
        )
        return cls(
            (recent.features, recent.closes, paid, store.bars.daily(as_of=at)),
            (
                recent.content_hash,
                members,
                store.instruments.all(at),
                store.instruments.spans(at),
                store.instruments.tick_steps("A", at),
                store.actions.of(as_of=at),
                store.actions.bases(at),
            ),
        )

    def require_same(self, other: "View") -> None:
        assert self.facts == other.facts
        for one, two in zip(self.frames, other.frames, strict=True):
            pd.testing.assert_frame_equal(one, two, check_exact=True)


KINDS = (
    *("revise", "correct", "sample", "late", "split", "dividend", "withdraw", "again", "basis"),
    *("rename", "leave", "steps", "describe"),
)
change = st.tuples(st.sampled_from(KINDS), st.integers(0, 2**16), st.integers(1, 400))


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**16), changes=st.lists(change, min_size=1, max_size=4))
@example(seed=1, changes=[("rename", 3, 1), ("late", 5, 1), ("leave", 0, 1), ("withdraw", 0, 1)])
@example(seed=2, changes=[("sample", 1, 1), ("correct", 1, 1), ("basis", 1, 1), ("split", 4, 1)])
def test_what_was_known_at_any_moment_does_not_change_when_more_is_learnt(seed, changes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = MarketWarehouse(Path(folder) / "w.duckdb", deadline=2.0)
        _begin(store, seed)
        at, seen = LEARNT, {LEARNT: View.of(store, LEARNT)}
        whole = load_dataset(store, SYMBOLS)
        assert len(seen[at].frames[0]) and len(whole.features), "there are features"
        for kind, number, hours in changes:
            before = seen[at]
            at += timedelta(hours=hours)
            changed = _learn(store, kind, number, at)
            seen[at] = View.of(store, None)
            if changed:
                assert seen[at].facts != before.facts or any(
                    not one.equals(two)
                    for one, two in zip(seen[at].frames, before.frames, strict=True)
                ), f"{kind} changes what is known from then on"
        for moment, view in seen.items():
            view.require_same(View.of(store, moment))
        assert load_dataset(store, SYMBOLS, as_of=LEARNT).content_hash == whole.content_hash


def _begin(store: MarketWarehouse, seed: int) -> None:
    two_days = LEARNT - timedelta(days=2)
    store.bars.merge_daily(_bars(seed, FIRST), "file", two_days)
    store.instruments.merge([Instrument(symbol) for symbol in SYMBOLS], "file", two_days)
    store.universes.set_members([Membership(PEERS, name) for name in SYMBOLS], "file", two_days)
    split = CorporateAction("A", SESSIONS[-5], ActionKind.SPLIT, 2.0)
    store.actions.merge([split], "file", LEARNT - timedelta(days=1))


def _learn(store: MarketWarehouse, kind: str, number: int, at: datetime) -> bool:
    """Learn something at a moment; return whether what is known must differ from then on."""
    symbol = SYMBOLS[number % len(SYMBOLS)]
    ex_date = SESSIONS[-(number % 40) - 1]
    if kind in ("revise", "correct", "sample"):
        source = {"revise": "other", "correct": "ibkr", "sample": "sample"}[kind]
        rows = _bars(number + 70_000, FIRST).sample(frac=0.3, random_state=number)
        result = store.bars.merge_daily(rows, source, at)
        assert kind != "sample" or (result.changed, result.kept) == (0, len(rows))
        return result.changed > 0
    if kind == "late":
        return _learn_late(store, number, at)
    if kind in ("withdraw", "again"):
        actions = store.actions.of(["A"])
        kept = [CorporateAction("A", SESSIONS[-5], ActionKind.SPLIT, 2.0)]
        store.actions.replace(["A"], kept if kind == "again" else [], "file", at)
        return store.actions.of(["A"]) != actions
    if kind in ("split", "dividend"):
        action = CorporateAction(symbol, ex_date, ActionKind(kind), 1.25 + number % 7)
        merged = store.actions.merge([action], "file", at)
        return merged.added + merged.changed > 0
    return _learn_reference(store, kind, number, at)


def _learn_late(store: MarketWarehouse, number: int, at: datetime) -> bool:
    """Bring the rows of the last sessions as a file has them: by the tickers of their days."""
    wanted = rows = _bars(number, LATE)
    spans = store.instruments.spans()
    if any(span.symbol == "AX" for span in spans):
        later = (rows["symbol"] == "A") & (rows["session"] >= RENAMED)
        wanted = pd.concat([rows, rows[later].assign(symbol="D")], ignore_index=True)
        rows = pd.concat([rows.assign(symbol=rows["symbol"].mask(later, "AX")), rows[later]])
    known, foreign, _ = TickerBook(spans, register=False).resolve(rows)
    assert foreign.empty and known["symbol"].tolist() == wanted["symbol"].tolist()
    result = store.bars.merge_daily(known, "file", at)
    return result.added + result.changed > 0


def _learn_reference(store: MarketWarehouse, kind: str, number: int, at: datetime) -> bool:
    if kind == "basis":
        day = SESSIONS[-(number % 40) - 1]
        merged = store.actions.set_basis({"A": day}, "file", at)
        return merged.added + merged.changed > 0
    if kind == "rename":
        spans = [SymbolSpan("A", "A", valid_to=RENAMED), SymbolSpan("A", "AX", RENAMED)]
        spans.append(SymbolSpan("D", "A", RENAMED))
        return store.instruments.set_spans(spans, "file", at) > 0
    if kind == "leave":
        left = [Membership(PEERS, "B", valid_to=FIRST[0]), Membership(PEERS, "A")]
        return store.universes.set_members(left, "file", at) > 0
    if kind == "steps":
        steps = [TickStep(Decimal(0), Decimal("0.01") * (1 + number % 5))]
        merged = store.instruments.set_tick_rules({"A": steps}, "ibkr", at)
        return merged.added + merged.changed > 0
    merged = store.instruments.merge([Instrument("A", number + 1)], "ibkr", at)
    return merged.changed > 0
