"""The day's table: units in every heading, and what is unknown is never shown as zero."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from parent_orders import parent_order

from flows.execute import _require_clean
from flows.tables import COLUMNS, day_rows, day_summary, day_table, equity_lines
from models.domain.errors import HaltTrading, RetryLater
from models.domain.orders import Fill, ParentState, Side
from models.execution.tca import shortfall
from tasks.books.execution_report import DayReport, ParentReport

DAY = date(2022, 12, 29)
NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)


def row(symbol="KO", state=ParentState.FILLED, commission="0.35", filled=10, known=True):
    order = parent_order(NOW, symbol, quantity=1_000)
    paid = None if commission is None else Decimal(commission)
    fill = Fill("e.01", "p.1.1", symbol, Side.BUY, filled, Decimal("50.10"), NOW, 1, paid)
    cost = shortfall(
        order.side,
        order.quantity,
        decision_price=order.decision_price,
        arrival_price=Decimal("50.05"),
        end_price=Decimal("50.20"),
        fills=[fill] if filled else [],
    )
    return ParentReport(
        order,
        state,
        "because",
        filled,
        Decimal("50.10") if filled else None,
        Decimal("50.05") if known else None,
        paid,
        cost if known else None,
    )


def report(*rows, before="100000", after="100123.45"):
    worth = [None if text is None else Decimal(text) for text in (before, after)]
    return DayReport(DAY, rows, *worth)


def test_each_number_has_its_unit_in_the_heading():
    plain = ("symbol", "side", "state")
    units = {name.rsplit(" ", 1)[-1] for name in COLUMNS if name not in plain}
    assert units == {"shares", "USD", "bps"}


def test_a_row_shows_the_parents_figures():
    (first, _total) = day_rows(report(row()))
    assert list(first) == list(COLUMNS)
    assert first["target shares"] == "1,000"
    assert first["filled shares"] == "10"
    assert first["average USD"] == "50.1000"
    assert first["arrival USD"] == "50.0500"
    assert first["commission USD"] == "0.35"
    assert first["state"] == "FILLED"


def test_what_is_unknown_says_so():
    (first, total) = day_rows(report(row(commission=None, known=False)))
    for name in ("arrival USD", "shortfall bps", "shortfall USD", "commission USD"):
        assert first[name] == "unknown"
    assert total["commission USD"] == total["shortfall USD"] == total["shortfall bps"] == "unknown"
    assert "commission unknown USD" in day_summary(report(row(commission=None)))


def test_one_unknown_part_makes_the_total_unknown():
    rows = (row("KO"), row("PEP", commission=None))
    total = day_rows(report(*rows))[-1]
    assert total["commission USD"] == "unknown"
    assert total["filled shares"] == "20"


def test_a_parent_without_a_fill_has_no_average_price_and_no_commission():
    (first, _total) = day_rows(report(row(filled=0, commission="0", state=ParentState.EXPIRED)))
    assert first["average USD"] == "unknown"
    assert first["commission USD"] == "0.00"


def test_parents_denied_at_plan_time_are_listed_but_not_counted():
    found = report(row("KO"), row("PEP", ParentState.REJECTED, filled=0, commission="0"))
    assert [r["symbol"] for r in day_rows(found)] == ["KO", "PEP", "total"]
    assert day_rows(found)[-1]["target shares"] == "1,000"
    assert "in 1 parent orders" in day_summary(found)


def test_the_total_shortfall_is_weighted_by_notional_and_no_mean_of_bps():
    rows = (row("KO"), row("PEP", filled=0, commission="0"))
    found = report(*rows)
    total = sum(r.shortfall.total for r in rows)
    notional = sum(r.shortfall.decision_notional for r in rows)
    assert found.shortfall_usd == total
    assert found.shortfall_bps == total / notional * 10_000


def test_an_empty_day_has_no_shortfall_in_bps():
    assert report().shortfall_bps is None
    assert day_rows(report())[-1]["filled shares"] == "0"


def test_equity_is_shown_with_its_change_only_when_both_ends_are_known():
    assert equity_lines(report(row())) == [
        "equity before 100,000.00 USD, after 100,123.45 USD",
        "change +123.45 USD (+12.3 bps)",
    ]
    assert equity_lines(report(row(), after=None)) == [
        "equity before 100,000.00 USD, after unknown USD"
    ]


def test_the_terminals_table_has_the_same_rows():
    table = day_table(report(row("KO"), row("PEP")))
    assert table.row_count == 3
    assert [" ".join(str(c.header).split("\n")) for c in table.columns] == list(COLUMNS)


@pytest.mark.parametrize("state", [ParentState.PAUSED, ParentState.FAILED])
def test_a_parent_that_needs_a_person_fails_the_run(state):
    with pytest.raises(HaltTrading, match="1 parent orders need a person: p-KO: because"):
        _require_clean(report(row(state=state)))


def test_a_parent_that_still_waits_for_evidence_is_no_success():
    with pytest.raises(RetryLater, match="p-KO; run `robo execute` again"):
        _require_clean(report(row(state=ParentState.WORKING)))


@pytest.mark.parametrize(
    "state",
    [ParentState.FILLED, ParentState.EXPIRED, ParentState.CANCELLED, ParentState.REJECTED],
)
def test_an_ended_parent_is_a_clean_end(state):
    _require_clean(report(row(state=state)))
