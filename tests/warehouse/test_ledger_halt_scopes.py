"""Halts of one symbol, their codes, and the row that is written without the ledger."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from parent_orders import parent_order

from models.domain.errors import HaltTrading
from models.domain.halts import HaltCode
from models.domain.orders import ChildOrder, Side
from warehouse.ledger import OrderLedger
from warehouse.quick_halt import quick_halt

NOW = datetime(2024, 1, 2, 15, 30, 0, 123456, tzinfo=UTC)


def commit(ledger: OrderLedger, symbol: str) -> ChildOrder:
    parent = parent_order(NOW, symbol)
    ledger.parents.add([parent])
    child = ChildOrder(parent.parent_id, 1, 1, symbol, Side.BUY, 5, Decimal(50), "IOC")
    return ledger.children.commit_intent(child, 11, "SIM0000001", next_valid_id=1, at=NOW)


def test_a_halt_of_one_symbol_stops_that_symbol_only(ledger: OrderLedger) -> None:
    ledger.halts.halt("odd prints", "me", NOW, symbol="KO")
    with pytest.raises(HaltTrading, match="trading of KO was halted by me.*odd prints"):
        commit(ledger, "KO")
    assert commit(ledger, "PEP").order_id == 1
    assert ledger.halts.current() is None
    assert ledger.halts.current("PEP") is None
    assert ledger.halts.current("KO").symbol == "KO"
    assert [h.symbol for h in ledger.halts.in_force()] == ["KO"]


def test_a_resume_of_one_symbol_leaves_the_other_halts(ledger: OrderLedger) -> None:
    ledger.halts.halt("a", "me", NOW, symbol="KO")
    ledger.halts.halt("b", "session", NOW, code=HaltCode.REJECTS)
    assert ledger.halts.resume("seen", "me", NOW, symbol="KO")
    assert [(h.symbol, h.code) for h in ledger.halts.in_force()] == [("", HaltCode.REJECTS)]
    with pytest.raises(HaltTrading, match="trading was halted by session"):
        commit(ledger, "KO")
    assert ledger.halts.resume("seen", "me", NOW)
    assert ledger.halts.in_force() == ()
    assert commit(ledger, "KO").order_id == 1


def test_a_resume_of_everything_leaves_the_halts_of_symbols(ledger: OrderLedger) -> None:
    ledger.halts.halt("hands off", "me", NOW, symbol="KO")
    ledger.halts.halt("enough", "me", NOW)
    lifted = ledger.halts.resume("seen", "me", NOW)
    assert [halt.text for halt in lifted] == ["everything, by me at 2024-01-02 15:30 UTC: enough"]
    assert [halt.symbol for halt in ledger.halts.in_force()] == ["KO"]
    assert ledger.halts.resume("again", "me", NOW) == ()


def test_a_resume_lifts_only_the_halts_that_were_judged(ledger: OrderLedger) -> None:
    ledger.halts.halt("a first", "me", NOW)
    judged = ledger.halts.in_force()
    ledger.halts.halt("a second", "you", NOW)
    with pytest.raises(HaltTrading, match=r"halted again meanwhile .*by you at .*: a second"):
        ledger.halts.resume("seen", "me", NOW, seen=judged)
    assert [halt.reason for halt in ledger.halts.in_force()] == ["a first", "a second"]
    assert len(ledger.halts.resume("seen both", "me", NOW, seen=ledger.halts.in_force())) == 2


def test_the_quick_row_is_the_row_of_the_ledger(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with OrderLedger(url) as ledger:
        ledger.halts.halt("enough", "me", NOW, code=HaltCode.SIGNAL, symbol="KO")
        quick = {"code": HaltCode.SIGNAL, "symbol": "KO", "deadline": 1.0}
        assert quick_halt(url, "enough", "me", NOW, **quick)
        first, second = ledger.halts.history()
        assert first == second
        assert ledger.halts.resume("both", "me", NOW, symbol="KO")
        assert ledger.halts.in_force() == ()


def test_what_is_no_ledger_of_this_form_is_left_to_the_ledger(tmp_path) -> None:
    fields = {"code": HaltCode.OPERATOR, "symbol": "", "deadline": 0.1}
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"this is no database" * 100)
    for url in (
        f"sqlite:///{tmp_path / 'absent.sqlite'}",
        f"sqlite:///{broken}",
        f"sqlite:///{tmp_path}",
        "postgresql+psycopg://me@nowhere/robo",
    ):
        assert not quick_halt(url, "enough", "me", NOW, **fields)
    assert not (tmp_path / "absent.sqlite").exists()


def test_the_quick_row_waits_for_another_writer_and_then_gives_up(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with OrderLedger(url) as ledger:
        with ledger.transaction():
            assert not quick_halt(
                url, "x", "me", NOW, code=HaltCode.OPERATOR, symbol="", deadline=0.1
            )
        assert ledger.halts.history() == ()
