from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.domain.orders import ChildOrder, ChildState, Fill, ParentState, Quote, Side

AT = datetime(2023, 1, 3, 15, tzinfo=UTC)


def child(**changes):
    return ChildOrder(
        "2023-01-03.trend.KO", 3, 2, "KO", Side.BUY, 100, Decimal(60), "IOC", **changes
    )


def execution(exec_id):
    return Fill(exec_id, "p.1.1", "KO", Side.BUY, 10, Decimal(60), AT, 7)


def test_the_order_ref_is_parent_slice_attempt():
    assert child().order_ref == "2023-01-03.trend.KO.3.2"


@pytest.mark.parametrize("state", ChildState)
def test_only_a_proven_end_frees_the_leaves(state):
    dead = {"FILLED", "CANCELLED", "REJECTED", "NEVER_SENT"}
    assert child(state=state, filled=40).leaves == (0 if state.value in dead else 60)


def test_a_terminal_parent_state_is_one_of_five():
    terminal = {state.value for state in ParentState if state.is_terminal}
    assert terminal == {"FILLED", "CANCELLED", "EXPIRED", "FAILED", "REJECTED"}


def test_the_side_carries_the_sign():
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)


@pytest.mark.parametrize(
    ("exec_id", "base", "revision"),
    [
        ("0000e0d5.6553f1a1.01.01", "0000e0d5.6553f1a1.01", 1),
        ("0000e0d5.6553f1a1.01.02", "0000e0d5.6553f1a1.01", 2),
        ("0000e0d5.6553f1a1.01.12", "0000e0d5.6553f1a1.01", 12),
        ("abc", "abc", 1),
    ],
)
def test_a_correction_shares_all_but_the_last_suffix(exec_id, base, revision):
    assert (execution(exec_id).exec_base, execution(exec_id).revision) == (base, revision)


@pytest.mark.parametrize(
    ("bid", "ask", "sane"),
    [
        ("59.99", "60.01", True),
        ("60", "60", True),
        ("60.01", "60", False),
        ("0", "60", False),
        ("-1", "-1", False),
        ("NaN", "60", False),
        ("60", "NaN", False),
        ("60", "Infinity", False),
        ("sNaN", "60", False),
    ],
)
def test_a_sane_quote_is_finite_positive_and_not_crossed(bid, ask, sane):
    quote = Quote("KO", Decimal(bid), Decimal(ask), 1, 1, AT)
    assert quote.is_sane is sane


def test_the_mid_is_exact():
    assert Quote("KO", Decimal("59.99"), Decimal("60.02"), 1, 1, AT).mid == Decimal("60.005")
