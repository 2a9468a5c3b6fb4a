"""Instruments, tickers, universes and actions: as they were on a day, and as known at a moment."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput
from models.domain.instruments import (
    FOREVER,
    Instrument,
    Membership,
    SymbolSpan,
    TickStep,
    round_down_to_tick,
    tick_at,
)
from warehouse.market import MarketWarehouse

JAN, FEB, MAR = (datetime(2023, month, 1, tzinfo=UTC) for month in (1, 2, 3))
RENAMED = date(2022, 6, 9)


@pytest.fixture
def store(tmp_path: Path) -> MarketWarehouse:
    return MarketWarehouse(tmp_path / "w.duckdb", deadline=2.0)


def test_what_is_not_told_again_is_not_forgotten(store):
    store.instruments.merge([Instrument("KO", 8894, "Coca-Cola", "NYSE")], "ibkr", JAN)
    result = store.instruments.merge([Instrument("KO", listed=date(1962, 1, 2))], "file", FEB)
    assert (result.added, result.changed) == (0, 1)
    assert store.instruments.all() == (
        Instrument("KO", 8894, "Coca-Cola", "NYSE", "USD", date(1962, 1, 2)),
    )
    assert store.instruments.all(as_of=JAN) == (Instrument("KO", 8894, "Coca-Cola", "NYSE"),)
    assert store.instruments.all(as_of=datetime(2022, 12, 31, tzinfo=UTC)) == ()


def test_one_instrument_has_many_tickers_and_a_ticker_many_owners(store):
    store.instruments.merge([Instrument("META"), Instrument("METV")], "file", JAN)
    assert store.instruments.owner("META", date(2020, 1, 2)) == "META"
    store.instruments.set_spans(
        [
            SymbolSpan("META", "FB", date(2012, 5, 18), RENAMED),
            SymbolSpan("META", "META", RENAMED),
            SymbolSpan("METV", "META", date(2021, 6, 30), date(2022, 1, 31)),
            SymbolSpan("METV", "METV", date(2022, 1, 31)),
        ],
        "file",
        FEB,
    )
    owner = store.instruments.owner
    assert owner("FB", date(2022, 6, 8)) == "META"
    assert owner("FB", RENAMED) is None
    assert owner("META", RENAMED) == "META"
    assert owner("META", date(2021, 7, 1)) == "METV", "the ticker was another fund's before"
    assert owner("FB", date(2022, 6, 8), as_of=JAN) is None, "not known then"
    with pytest.raises(InvalidInput, match="META belongs to METV until 2022-07-01"):
        store.instruments.set_spans(
            [SymbolSpan("METV", "META", date(2021, 6, 30), date(2022, 7, 1))], "file", MAR
        )
    with pytest.raises(InvalidInput, match="not after its first day"):
        store.instruments.set_spans([SymbolSpan("X", "X", RENAMED, RENAMED)], "file", MAR)


def test_tick_rules_hold_from_a_price_on(store):
    steps = [TickStep(Decimal(0), Decimal("0.0001")), TickStep(Decimal(1), Decimal("0.01"))]
    store.instruments.set_tick_rules({"KO": steps}, "ibkr", JAN)
    kept = store.instruments.tick_steps("KO")
    assert tick_at(kept, Decimal("0.5")) == Decimal("0.0001")
    assert tick_at(kept, Decimal(1)) == Decimal("0.01")
    assert round_down_to_tick(kept, Decimal("60.0199")) == Decimal("60.01")
    store.instruments.set_tick_rules({"KO": steps[1:]}, "ibkr", FEB)
    assert len(store.instruments.tick_steps("KO")) == 1
    assert len(store.instruments.tick_steps("KO", as_of=JAN)) == 2


def test_a_universe_remembers_who_has_left(store):
    left = date(2008, 9, 25)
    first = [Membership("banks", "JPM"), Membership("banks", "WM", valid_to=left)]
    store.universes.set_members(first, "file", JAN)
    assert store.universes.members("banks", date(2008, 9, 24)) == ("JPM", "WM")
    assert store.universes.members("banks", left) == ("JPM",)
    assert store.universes.ever("banks", date(2000, 1, 1), date(2023, 1, 1)) == ("JPM", "WM")
    store.universes.set_members([*first, Membership("banks", "BAC", left)], "file", FEB)
    assert store.universes.members("banks", left) == ("BAC", "JPM")
    assert store.universes.members("banks", left, as_of=JAN) == ("JPM",)
    with pytest.raises(InvalidInput, match="robo ingest universe"):
        store.universes.members("unknown", left)
    with pytest.raises(InvalidInput, match="JPM belongs to banks twice"):
        store.universes.set_members(
            [Membership("banks", "JPM"), Membership("banks", "JPM", left)], "file", MAR
        )


def test_actions_are_withdrawn_and_still_remembered(store):
    split = CorporateAction("AAPL", date(2020, 8, 31), ActionKind.SPLIT, 4.0)
    paid = CorporateAction("AAPL", date(2020, 8, 7), ActionKind.DIVIDEND, 0.82)
    store.actions.merge([split, paid], "file", JAN)
    assert store.actions.replace(["AAPL"], [split], "file", FEB) == 1
    assert store.actions.of(["AAPL"]) == (split,)
    assert store.actions.of(["AAPL"], as_of=JAN) == (paid, split)
    assert store.actions.splits_between(["AAPL"], date(2020, 8, 28), date(2020, 8, 31)) == (split,)
    assert store.actions.splits_between(["AAPL"], date(2020, 8, 31), date(2020, 9, 1)) == ()
    with pytest.raises(InvalidInput, match="above zero"):
        CorporateAction("AAPL", date(2020, 8, 31), ActionKind.SPLIT, 0.0)


def test_older_knowledge_does_not_replace_newer(store):
    store.instruments.merge([Instrument("KO", name="Coca-Cola")], "file", FEB)
    with pytest.raises(InvalidInput, match=r"learnt later.*--known-at"):
        store.instruments.merge([Instrument("KO", name="Koka")], "file", JAN)
    assert store.instruments.all()[0].name == "Coca-Cola"
    assert store.instruments.spans() == (SymbolSpan("KO", "KO", valid_to=FOREVER),)


def test_a_withdrawal_keeps_the_order_in_which_things_were_learnt(store):
    split = CorporateAction("AAPL", date(2020, 8, 31), ActionKind.SPLIT, 4.0)
    store.actions.merge([split], "file", FEB)
    with pytest.raises(InvalidInput, match="learnt later"):
        store.actions.replace(["AAPL"], [], "file", JAN)
    assert store.actions.of(as_of=FEB) == (split,)
    store.actions.replace(["AAPL"], [], "file", MAR)
    with pytest.raises(InvalidInput, match="learnt later"):
        store.actions.merge([split], "file", FEB)
    store.actions.merge([split], "file", MAR)
    for moment in (FEB, MAR):
        assert store.actions.of(as_of=moment) == (split,), "once, whichever row it is"


def test_a_new_instrument_takes_no_ticker_of_another(store):
    store.instruments.merge([Instrument("META")], "file", JAN)
    spans = [SymbolSpan("META", "FB", valid_to=RENAMED), SymbolSpan("META", "META", RENAMED)]
    store.instruments.set_spans(spans, "file", JAN)
    with pytest.raises(InvalidInput, match="ticker FB belongs to"):
        store.instruments.merge([Instrument("FB", 42)], "ibkr", FEB)
    assert [item.symbol for item in store.instruments.all()] == ["META"]


def test_a_universe_is_read_as_it_was_known_whoever_was_ever_in_it(store):
    store.universes.set_members([Membership("banks", "JPM")], "file", JAN)
    left = date(2008, 9, 25)
    gone = [Membership("banks", "WM", valid_to=left), Membership("banks", "BAC", left)]
    store.universes.set_members(gone, "file", FEB)
    ever = store.universes.ever
    assert ever("banks", date(2008, 9, 24), date(2023, 1, 1)) == ("BAC", "WM")
    assert ever("banks", date(2008, 9, 24), date(2023, 1, 1), as_of=JAN) == ("JPM",)
    assert ever("banks", left, date(2023, 1, 1)) == ("BAC",), "it had left by that day"
    assert ever("banks", date(2000, 1, 3), date(2008, 9, 24)) == ("WM",), "it had not come yet"
    assert ever("banks", date(2000, 1, 3), left) == ("BAC", "WM"), "it came on that day"
