"""Versions of limits, disabled symbols, facts of a plan, and verdicts that name their version."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput
from models.domain.regimes import Regime
from models.risk.verdict import Verdict
from warehouse.ledger.symbol_facts import SymbolFacts

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
DAY = date(2024, 1, 2)


def test_a_version_is_added_by_a_change_only(ledger):
    first = ledger.limits.record("a = 1\n", "h1", "ann", NOW, "limits.toml")
    again = ledger.limits.record("a = 1\n", "h1", "bob", NOW + timedelta(days=1), "limits.toml")
    assert first == again and (first.version, first.by, first.at) == (1, "ann", NOW)
    second = ledger.limits.record("a = 2\n", "h2", "bob", NOW, "limits.toml")
    back = ledger.limits.record("a = 1\n", "h1", "ann", NOW, "limits.toml")
    assert [second.version, back.version] == [2, 3]
    assert [one.content for one in ledger.limits.history()] == ["a = 1\n", "a = 2\n", "a = 1\n"]
    assert ledger.limits.latest() == back
    assert ledger.limits.get(2) == second
    with pytest.raises(InvalidInput, match="no limits version 9; `robo limits history`"):
        ledger.limits.get(9)


def test_parents_and_verdicts_name_the_version_that_judged_them(ledger, make_parent):
    parent = make_parent()
    denied = [Verdict("quantity", False, "too many", {"value": 2.0, "limit": 1.0})]
    plan = ledger.parents.replace_plan(
        parent.session, parent.strategy, [parent], {parent.parent_id: denied}, 7
    )
    assert plan[0].limits_version == 7
    ref = f"{parent.parent_id}.1.1"
    ledger.parents.record_verdicts(parent.parent_id, denied, NOW, 8, ref)
    first, second = ledger.parents.verdicts(parent.parent_id)
    assert (first.limits_version, first.order_ref) == (7, "")
    assert (second.limits_version, second.order_ref) == (8, ref)
    assert second.numbers == {"value": 2.0, "limit": 1.0}


def test_what_is_disabled_stays_so_until_a_person_enables_it(ledger):
    table = ledger.disablements

    def disable(name="KO", kind="symbol"):
        return table.disable(kind, name, reason="5 refusals", by="throttle", at=NOW, session=DAY)

    assert disable() is True
    assert disable() is False, "once is enough"
    assert disable("ml", "strategy") is True
    assert [(one.kind, one.name) for one in table.current()] == [
        ("symbol", "KO"),
        ("strategy", "ml"),
    ]
    assert table.forgiveness("symbol", "KO", DAY) == (0, 0)
    table.enable("KO", "looked at it", "ann", NOW)
    assert [one.name for one in table.current()] == ["ml"]
    assert table.forgiveness("symbol", "KO", DAY) == (1, 0)
    assert table.forgiveness("symbol", "KO", DAY + timedelta(days=1)) == (0, 0)
    kept = table.history()[0]
    assert (kept.reason, kept.enable_reason, kept.enabled_by) == (
        "5 refusals",
        "looked at it",
        "ann",
    )
    with pytest.raises(InvalidInput, match="KO is not disabled; disabled is: ml"):
        table.enable("KO", "again", "ann", NOW)


def test_the_facts_of_the_last_plan_are_found(ledger):
    early = SymbolFacts("KO", Decimal("63.95"), 1.25e7, 0.875, Regime.RANGING)
    bare = SymbolFacts("NEW", Decimal("10"), None, None, None)
    ledger.facts.note(DAY, [early, bare], NOW)
    assert ledger.facts.before(DAY - timedelta(days=1)) == {}
    assert ledger.facts.before(DAY) == {"KO": early, "NEW": bare}
    assert ledger.facts.before(DAY + timedelta(days=5))["KO"] == early
    later = SymbolFacts("KO", Decimal("64"), 1e7, 0.9, Regime.CRASH)
    ledger.facts.note(DAY, [later], NOW)
    assert ledger.facts.before(DAY)["KO"] == later
    ledger.facts.note(DAY, [], NOW)
