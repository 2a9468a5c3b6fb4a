"""Whatever differs is found, once; and the corrections that are proposed mend exactly that."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from models.domain.orders import ChildOrder, ChildState, Side
from models.execution.differences import (
    CashCorrection,
    CashKind,
    DifferenceKind,
    PositionCorrection,
    WorkingOrder,
    cash_differences,
    position_differences,
    unsettled_differences,
    working_order_differences,
)
from models.execution.settling import ChildEvidence, Claim, Verdict, objection

symbols = st.sampled_from(["KO", "PEP", "XOM", "BRK B"])
books = st.dictionaries(symbols, st.integers(-500, 500), max_size=4)
dollars = st.decimals("-99999.99", "99999.99", places=4)


@given(books, books)
def test_position_corrections_make_the_ledger_the_brokers(ours, theirs):
    found = position_differences(ours, theirs)
    mended = dict(ours)
    for difference in found:
        correction = difference.correction
        assert isinstance(correction, PositionCorrection)
        assert correction.shares
        mended[correction.symbol] = mended.get(correction.symbol, 0) + correction.shares
    assert position_differences(mended, theirs) == ()
    named = [difference.symbol for difference in found]
    held = {s for s in symbols_of(ours, theirs) if ours.get(s, 0) != theirs.get(s, 0)}
    assert len(named) == len(set(named))
    assert set(named) == held


def symbols_of(*all_books):
    return {symbol for book in all_books for symbol in book}


@given(dollars, dollars, st.integers(0, 3), books, st.booleans())
def test_cash_corrections_do_too_and_a_cent_is_the_bound(ours, theirs, unknown, held, mismatched):
    found = cash_differences(
        ours, theirs, unknown_commissions=unknown, positions=held, mismatched=mismatched
    )
    assert bool(found) == (abs(theirs - ours) >= Decimal("0.01"))
    for difference in found:
        correction = difference.correction
        assert isinstance(correction, CashCorrection)
        assert cash_differences(ours + correction.amount, theirs) == ()
        assert f"as {correction.kind}" in difference.proposal
        gains = correction.amount > 0
        if correction.kind in (CashKind.DEPOSIT, CashKind.INTEREST):
            assert gains
        if correction.kind in (CashKind.WITHDRAWAL, CashKind.FEE):
            assert not gains


orders = st.lists(
    st.builds(
        WorkingOrder,
        st.sampled_from(["", "p.1.1", "p.2.1", "q.1.1", "alien"]),
        st.integers(1, 9),
        st.integers(0, 3),
        st.integers(1, 5),
        symbols,
        st.integers(1, 100),
    ),
    max_size=6,
    unique_by=lambda order: order.perm_id,
)
children = st.lists(
    st.tuples(st.sampled_from(["p.1.1", "p.2.1", "q.1.1"]), st.none() | st.integers(1, 9)),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


@given(orders, children, st.sets(st.integers(1, 9), max_size=3))
def test_every_working_order_is_ours_known_external_or_told_of(working, drawn, external):
    ours = {}
    for ref, perm_id in drawn:
        parent, slice_no, attempt = ref.split(".")
        ours[ref] = ChildOrder(
            parent, int(slice_no), int(attempt), "KO", Side.BUY, 10, None, "IOC",
            ChildState.ACKED, perm_id=perm_id,
        )  # fmt: skip
    named = {order.order_ref for order in working if order.order_ref.count(".") == 2}
    found = working_order_differences(working, ours, named, external)
    told = {difference.subject.split(" (")[0] for difference in found}
    silent = [order for order in working if order.name not in told]
    assert len(found) == len(told)
    quiet = [order.order_ref for order in silent if order.perm_id not in external]
    assert len(quiet) == len(set(quiet)), "of two orders under one name one is told of"
    assert set(quiet) <= ours.keys()
    for difference in found:
        unnamed = difference.kind is DifferenceKind.EXTERNAL_ORDER
        assert unnamed == (not difference.kind.blocks)
    open_refs = {order.order_ref for order in working}
    unsettled = unsettled_differences(ours.values(), open_refs)
    assert {d.subject for d in unsettled} == ours.keys() - open_refs


@given(
    st.sampled_from(ChildState),
    st.integers(0, 30),
    st.integers(0, 30),
    st.booleans(),
    st.integers(-40, 40),
    st.sampled_from(Verdict),
    st.integers(-1, 40),
)
def test_no_settlement_leaves_the_position_further_from_the_brokers(
    state, executed, reported, working, gap, verdict, shares
):
    """What passes never adds shares that the broker does not hold, nor denies any that it does."""
    filled = max(executed, reported)
    child = ChildOrder("p", 1, 1, "KO", Side.BUY, 30, None, "IOC", state, filled)
    evidence = ChildEvidence(child, executed, working, gap)
    claim = Claim(verdict, shares, Decimal(50)) if verdict is Verdict.FILLED else Claim(verdict)
    if objection(claim, evidence):
        return
    assert not working
    assert gap - claim.quantity >= 0 if verdict is Verdict.FILLED else gap <= 0
    assert executed + claim.quantity <= 30
    if verdict is Verdict.NEVER_SENT:
        assert executed == filled == 0
        assert state in (ChildState.INTENT, ChildState.SENT, ChildState.UNKNOWN)
