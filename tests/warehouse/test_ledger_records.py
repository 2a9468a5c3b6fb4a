"""The journal of events, the manifests of models and the ledger's look at itself."""

import math
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from models.domain.errors import InvalidInput
from models.domain.orders import ChildOrder, Fill, Side
from warehouse.ledger import OrderLedger
from warehouse.ledger.encoding import json_of, json_text, list_of, list_text

NOW = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)


def test_events_are_numbered_and_come_back(ledger: OrderLedger) -> None:
    append = ledger.events.append
    payload = {"price": Decimal("1.10"), "at": NOW, "day": date(2024, 1, 2), "side": Side.BUY}
    assert append("status", "p.0.1", payload, NOW) == 1
    assert append("notice", "", {"code": 1100}, NOW) == 2
    first, second = ledger.events.since()
    assert first.payload == {
        "price": "1.10",
        "at": "2024-01-02T15:30:00.000000Z",
        "day": "2024-01-02",
        "side": "BUY",
    }
    assert (second.kind, second.at, second.payload) == ("notice", NOW, {"code": 1100})
    assert ledger.events.since(1) == (second,)
    assert ledger.events.since(0, count=1) == (first,)
    assert ledger.events.of_order("p.0.1") == (first,)
    with pytest.raises(InvalidInput, match="cannot be written"):
        append("notice", "", {"what": object()}, NOW)


def test_a_list_is_written_as_a_mapping_is() -> None:
    told = [math.nan, math.inf, -0.1, np.float64(0.5), 2**70, None, "null", "é", Side.BUY, True]
    nested = [Decimal("1.10"), NOW, date(2024, 1, 2), {"b": NOW, "a": [1, None]}, (1, "x")]
    for items in ([], [1, "x", 0.5], *([value] for value in told), nested, [*told, *nested]):
        alike = json_of(json_text({"items": items}))["items"]
        assert repr(list_of(list_text(items))) == repr(alike), "NaN is no equal of itself"
    for unknown in (object(), {1, 2}, np.int64(3)):
        with pytest.raises(InvalidInput, match="cannot be written"):
            list_text([unknown])


def test_a_manifest_never_changes(ledger: OrderLedger) -> None:
    record = ledger.models.record_manifest
    files = {"model.txt": "A" * 64, "features.json": "b" * 64}
    first = record("ranker", "1", files, run_id="r1", metrics={"ic": 0.021}, at=NOW)
    assert first.files == {"features.json": "b" * 64, "model.txt": "a" * 64}
    assert record("ranker", "1", files, run_id="r1", metrics={}, at=NOW) == first
    for other in ({"model.txt": "c" * 64}, files | {"more.bin": "c" * 64}):
        with pytest.raises(InvalidInput, match="never changes"):
            record("ranker", "1", other, run_id="r2", metrics={}, at=NOW)
    record("ranker", "2", files, run_id="r2", metrics={}, at=NOW)
    record("other", "9", files, run_id="r3", metrics={}, at=NOW)
    assert ledger.models.manifest("ranker", "1") == first
    assert ledger.models.manifest("ranker", "3") is None


@pytest.mark.parametrize("files", [{}, {"m": "abc"}, {"m": "z" * 64}], ids=["none", "short", "hex"])
def test_a_manifest_needs_hashes(ledger: OrderLedger, files: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        ledger.models.record_manifest("ranker", "1", files, run_id="r", metrics={}, at=NOW)
    assert ledger.models.manifest("ranker", "1") is None


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE children SET executed = 4", "counts 4 executed shares, its executions 10"),
        ("UPDATE children SET quantity = 9", "AAPL.0.1 is overfilled: 10 of 9"),
        ("UPDATE parents SET quantity = 9", "AAPL is overfilled: 10 of 9"),
        ("UPDATE executions SET symbol = 'KO'", "which is another order"),
        ("UPDATE executions SET superseded = 1", "not exactly one current revision"),
        ("UPDATE children SET reported = 11, state = 'FILLED'", "some have not come"),
    ],
)
def test_the_ledger_finds_contradictions(
    tmp_path: Path,
    make_parent: Callable[..., object],
    make_child: Callable[..., ChildOrder],
    make_fill: Callable[..., Fill],
    damage: str,
    complaint: str,
) -> None:
    path = tmp_path / "ledger.sqlite"
    with OrderLedger(f"sqlite:///{path}") as ledger:
        ledger.parents.add([make_parent()])  # type: ignore[list-item]
        ledger.children.commit_intent(make_child(), 11, "SIM1", next_valid_id=1, at=NOW)
        ledger.executions.record(make_fill(), "SIM1")
        assert ledger.check() == []
        with sqlite3.connect(path) as outside:
            outside.execute(damage)
        outside.close()
        assert any(complaint in line for line in ledger.check())
