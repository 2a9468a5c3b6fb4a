"""A window of adjusted bars is the whole, cut: what a bar reads does not depend on what is read."""

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.corporate_actions import ActionKind, Adjustment, CorporateAction, PriceBasis
from models.domain.sessions import session_dates
from tasks.quality.basis import BasisOf
from warehouse.market import MarketWarehouse

DAYS = session_dates(date(2024, 1, 2), date(2024, 1, 18))
NOW = datetime(2024, 2, 1, tzinfo=UTC)
PLACES = st.integers(0, len(DAYS) - 1)
SOURCES = ("file", "vendor", "total")
action = st.tuples(PLACES, st.sampled_from(ActionKind), st.sampled_from([0.5, 2.0, 3.0]))
symbol = st.tuples(
    st.lists(st.floats(20, 300), min_size=len(DAYS), max_size=len(DAYS)),
    st.lists(st.sampled_from([*SOURCES, None]), min_size=len(DAYS), max_size=len(DAYS)),
    st.lists(action, max_size=4, unique_by=lambda told: told[:2]),
    PLACES,
)


def _filled(folder: str, symbols: dict[str, tuple]) -> MarketWarehouse:
    """Merge each symbol's bars (source None: there is none), actions and bases."""
    store = MarketWarehouse(Path(folder) / "w.duckdb", deadline=2.0)
    rows, actions, bases = [], [], dict[str, dict[str, PriceBasis]]()
    for name, (closes, sources, told, through) in symbols.items():
        rows += zip([name] * len(DAYS), DAYS, closes, sources, strict=True)
        actions += [CorporateAction(name, DAYS[at], kind, value) for at, kind, value in told]
        bases.setdefault("vendor", {})[name] = PriceBasis(DAYS[through])
        bases.setdefault("total", {})[name] = PriceBasis(DAYS[through], DAYS[through])
    bars = pd.DataFrame(rows, columns=["symbol", "session", "close", "source"])
    for price in ("open", "high", "low"):
        bars[price] = bars["close"]
    for source, part in bars.assign(volume=600).groupby("source"):
        store.bars.merge_daily(part, str(source), NOW)
    store.actions.merge(actions, "file", NOW)
    for source, of_symbols in bases.items():
        store.actions.set_bases(of_symbols, source, NOW)
    return store


def _cut(whole: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    return whole[whole["session"].between(first, last)].reset_index(drop=True)


@settings(max_examples=6, deadline=None)
@given(
    one=symbol,
    two=symbol,
    first=PLACES,
    last=PLACES,
    on=PLACES,
    as_of=st.sampled_from([None, NOW]),
)
def test_a_window_equals_the_whole_cut(one, two, first, last, on, as_of) -> None:
    begin, end = DAYS[min(first, last)], DAYS[max(first, last)]
    with tempfile.TemporaryDirectory() as folder:
        store = _filled(folder, {"KO": one, "PEP": two})
        for kind in Adjustment:
            whole = store.bars.adjusted(on=DAYS[on], adjustment=kind, as_of=as_of)
            window = store.bars.adjusted(
                None, begin, end, on=DAYS[on], adjustment=kind, as_of=as_of
            )
            pd.testing.assert_frame_equal(window, _cut(whole, begin, end), check_exact=True)


@settings(max_examples=4, deadline=None)
@given(one=symbol, two=symbol, first=PLACES, last=PLACES, paid=st.sampled_from([None, 0, 1]))
def test_stored_bars_in_the_shares_of_a_batch_do_not_depend_on_which_are_read(
    one, two, first, last, paid
) -> None:
    begin, end = DAYS[min(first, last)], DAYS[max(first, last)]
    with tempfile.TemporaryDirectory() as folder:
        store = _filled(folder, {"KO": one, "PEP": two})
        stored = store.context.before({"KO": date.max, "PEP": date.max})
        if stored.empty:
            return
        batch = stored[stored["source"] == "total"].drop(columns="source")
        basis = None if paid is None else PriceBasis(DAYS[-1], DAYS[-1] if paid else None)
        in_shares = BasisOf(store, batch, "batch", basis)
        whole = in_shares.of(stored)
        window = in_shares.of(_cut(stored, begin, end))
        pd.testing.assert_frame_equal(window, _cut(whole, begin, end), check_exact=True)
