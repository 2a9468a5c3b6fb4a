"""The chain behind an order or a fill: every step, and a note for what is not known."""

import json
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from parent_orders import parent_order

from flows.explain_text import explanation_lines
from models.domain.errors import InvalidInput
from models.domain.orders import ChildOrder, ChildState, Fill, Side
from models.risk.verdict import Verdict, compare
from tasks.books.check_record import record_of
from tasks.books.explain import explain
from warehouse.market import MarketWarehouse
from warehouse.market.targets import Target

DAY = date(2022, 12, 29)
DECIDED = datetime(2022, 12, 29, 13, tzinfo=UTC)
NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)
PARENT = "20221229-ml-KO"
PASSED = Verdict("notional", True, "order value 505 USD is within the limit of 900 USD", {"v": 505})
DENIED = Verdict(
    "notional", False, "order value 999 USD is beyond the limit of 900 USD", {"v": 999}
)


def parent(symbol="KO", side=Side.SELL):
    return parent_order(
        NOW,
        symbol,
        parent_id=f"20221229-ml-{symbol}",
        strategy="ranker",
        side=side,
        end=NOW + timedelta(hours=5),
        decision_price=Decimal("50.5"),
        decided_at=DECIDED,
        model_version="ranker-model/3",
    )


def status(name, filled, remaining):
    return {"status": name, "filled": filled, "remaining": remaining, "order_id": 41, "perm_id": 7}


@pytest.fixture
def worked(settings, ledger):
    """A sell of KO that was half done, and a buy of PEP that a check denied."""
    warehouse = MarketWarehouse(settings.warehouse_path)
    scores = {"KO": -0.5, "PEP": 0.75, "XOM": 0.1}
    warehouse.signals.record(date(2022, 12, 28), "ranker-model/3", scores, DECIDED)
    warehouse.signals.record(date(2022, 12, 28), "ranker-model/2", {"KO": 9.0}, DECIDED)
    target = Target(DAY, "ranker", "KO", 0.05, 90, Decimal("50.5"), DECIDED)
    warehouse.targets.record(DAY, "ranker", [target])
    ledger.models.record_manifest(
        "ranker-model", "3:m-ab", {"model.lgb": "a" * 64}, run_id="r1", metrics={}, at=DECIDED
    )
    pep = parent("PEP", Side.BUY)
    verdicts = {PARENT: [PASSED], pep.parent_id: [PASSED, DENIED]}
    ledger.parents.replace_plan(DAY, "ranker", [parent(), pep], verdicts)
    child = ChildOrder(PARENT, 1, 1, "KO", Side.SELL, 6, Decimal("49.9"), "IOC")
    ledger.children.commit_intent(
        child, 11, "SIM1", next_valid_id=41, at=NOW, checks=record_of([PASSED])
    )
    ledger.children.mark_sent(child.order_ref, NOW)
    ledger.worked.note_mid(PARENT, "arrival", Decimal(50), NOW)
    ledger.events.append("order_status", child.order_ref, status("Submitted", 0, 6), NOW)
    ledger.children.record_status(child.order_ref, ChildState.ACKED, 0, 7)
    fill = Fill("e.01.01", child.order_ref, "KO", Side.SELL, 6, Decimal("49.95"), NOW, 7)
    ledger.executions.record(fill, "SIM1")
    ledger.executions.record_commission("e.01.01", Decimal("1.00"))
    return ledger


@pytest.mark.parametrize("asked", ["e.01.01", "e.01", f"{PARENT}.1.1", "41", "7", f" {PARENT} "])
def test_the_whole_chain_is_told_from_any_id(settings, worked, asked):
    found = explain(settings, worked, asked)
    assert (found.model.version, found.model.files) == ("3:m-ab", {"model.lgb": "a" * 64})
    assert (found.signal.score, found.signal.rank, found.signal.scored) == (-0.5, 3, 3)
    assert (found.target.weight, found.target.shares) == (0.05, 90)
    assert [c.check for c in found.checks] == ["notional"]
    (child,) = found.children
    assert (child.order.order_id, child.order.perm_id, child.order.sent_at) == (41, 7, NOW)
    assert [c.reason for c in child.checks] == [PASSED.reason]
    assert [m.payload["status"] for m in child.messages] == ["Submitted"]
    (fill,) = child.fills
    assert fill.cost_usd == Decimal("0.30")  # six shares sold 5 cents below the mid of 50 USD
    assert fill.cost_bps == Decimal(10)
    assert fill.execution.commission == Decimal(1)
    text = "\n".join(explanation_lines(found))
    for piece in (
        "SHA-256 aaaa",
        "number 3 of 3 symbols at the closes of 2022-12-28",
        "5.00% of equity, 90 shares at 50.5 USD",
        "6 shares KO at 49.95 USD, commission 1.00 USD, permId 7",
        "against arrival +0.30 USD, +10.00 bps",
        "Submitted, 0 shares filled, 6 shares remaining, order id 41, permId 7",
    ):
        assert piece in text
    assert json.loads(json.dumps(asdict(found), default=str))["parent"]["filled"] == 6


def test_a_denied_order_is_explained_by_its_check(settings, worked):
    found = explain(settings, worked, "20221229-ml-PEP")
    assert [(c.passed, c.numbers) for c in found.checks] == [
        (True, {"v": 505}),
        (False, {"v": 999}),
    ]
    text = "\n".join(explanation_lines(found))
    assert "DENIED" in text and DENIED.reason in text and "nothing was sent" in text
    assert "no target of ranker for PEP" in text


@pytest.mark.parametrize("is_named", [True, False])
def test_checks_of_an_older_ledger_are_told(settings, ledger, is_named):
    ledger.parents.add([parent()])
    older = {"check": "cash", "passed": True, "reason": "enough", "numbers": {"value": 1.0}}
    child = ChildOrder(PARENT, 1, 1, "KO", Side.SELL, 4, Decimal("49.9"), "IOC")
    ledger.children.commit_intent(child, 11, "SIM1", next_valid_id=41, at=NOW)
    kept = older if is_named else list(older.values())
    ledger.events.append("checks", child.order_ref, {"verdicts": [kept]}, NOW)
    [found] = explain(settings, ledger, PARENT).children
    [step] = found.checks
    assert (step.check, step.passed, step.reason, step.numbers) == tuple(older.values())
    assert not found.messages


def test_every_kept_verdict_is_told_in_the_words_and_numbers_of_its_moment(settings, ledger):
    ledger.parents.add([parent()])
    verdicts = [
        PASSED,
        Verdict("halt", True, "no halt is in force"),
        compare("rate", 3, 1_800, "sending", "orders a minute"),
        compare("collar", Decimal("6.04904378"), 100.0, "limit 50 USD is off the mid by", "bps"),
        compare("net", 1.25, 1.0, "net", "x equity", excused="the order adds nothing to it"),
        compare("adv", 12, 10.5, "child of", "shares"),
    ]
    child = ChildOrder(PARENT, 1, 1, "KO", Side.SELL, 4, Decimal("49.9"), "IOC")
    ledger.children.commit_intent(
        child, 11, "SIM1", next_valid_id=41, at=NOW, checks=record_of(verdicts)
    )
    [found] = explain(settings, ledger, PARENT).children
    told = [(c.at, c.check, c.passed, c.reason, dict(c.numbers)) for c in found.checks]
    assert told == [(NOW, v.check, v.passed, v.reason, dict(v.numbers)) for v in verdicts]
    assert [step.reason for step in found.checks[2:]] == [
        "sending 3 orders a minute is within the limit of 1,800 orders a minute",
        "limit 50 USD is off the mid by 6.04904 bps is within the limit of 100 bps",
        "net 1.25 x equity is above the limit of 1 x equity, but the order adds nothing to it",
        "child of 12 shares is above the limit of 10.5 shares",
    ]


def test_a_correction_and_a_bust_are_shown_beside_what_they_replace(settings, worked):
    for revision, shares in ((2, 5), (3, 0)):
        worked.executions.record(
            Fill(
                f"e.01.0{revision}", f"{PARENT}.1.1", "KO", Side.SELL, shares, Decimal(49), NOW, 7
            ),
            "SIM1",
        )
    (child,) = explain(settings, worked, "e.01.03").children
    assert [f.execution.exec_id for f in child.fills] == ["e.01.01", "e.01.02", "e.01.03"]
    assert [f.cost_usd for f in child.fills] == [None, None, None]
    text = "\n".join(explanation_lines(explain(settings, worked, "e.01.03")))
    assert "superseded by a correction" in text and "busted" in text


def test_an_external_fill_says_that_it_is_none_of_ours(settings, ledger):
    fill = Fill("x.01", "by hand", "KO", Side.BUY, 3, Decimal(50), NOW, 99, Decimal(1))
    ledger.executions.record(fill, "SIM1")
    for asked in ("x.01", "99"):
        found = explain(settings, ledger, asked)
        assert found.external and found.parent is None
        text = "\n".join(explanation_lines(found))
        assert "EXTERNAL" in text and "BUY 3 shares KO at 50 USD" in text and "'by hand'" in text


def test_without_a_warehouse_the_ledgers_half_is_told(settings, worked):
    settings.warehouse_path.unlink()
    found = explain(settings, worked, PARENT)
    assert found.signal is None and len(found.children) == 1
    assert any("signal and target are not known" in note for note in found.notes)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("20221229-ml-K0", "near it are.*20221229-ml-KO"),
        ("e.01.07", "near it are.*e.01.01"),
        ("zzz", r"among \d+ ids; give an execution id"),
        ("", "give an execution id"),
        ("9" * 30, "give an execution id"),
    ],
)
def test_an_unknown_id_is_refused_with_near_ones(settings, worked, asked, says):
    with pytest.raises(InvalidInput, match=says):
        explain(settings, worked, asked)


def test_a_number_that_two_clients_gave_is_asked_back(settings, worked):
    child = ChildOrder(PARENT, 2, 1, "KO", Side.SELL, 2, None, "IOC")
    worked.children.commit_intent(child, 12, "SIM1", next_valid_id=41, at=NOW)
    with pytest.raises(InvalidInput, match=r"number of 2 orders: give one of .*\.1\.1.*\.2\.1"):
        explain(settings, worked, "41")
