"""What scripts are promised: 0 done, 1 failed, 2 wrong input, 3 halted; text or one JSON object."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import typer
from typer.testing import CliRunner

from flows.cli import app
from flows.cli_exit import answer, exit_code, exits
from flows.outcomes import finish
from flows.rebalance import session_to_plan
from flows.run_end import Outcome
from models.domain.errors import (
    AskPerson,
    HaltTrading,
    InvalidInput,
    RetryLater,
    RoboError,
    SkipToday,
)
from tasks.broker.protocol import GatewayUnreachable

CODES = [
    (SkipToday, 0),
    (RetryLater, 1),
    (GatewayUnreachable, 1),
    (RoboError, 1),
    (AskPerson, 1),
    (InvalidInput, 2),
    (HaltTrading, 3),
]


@pytest.mark.parametrize(("error", "code"), CODES)
def test_every_error_has_its_code_and_one_line(error, code, capsys):
    with pytest.raises(typer.Exit) as raised, exits(False):
        raise error("do this next")
    assert raised.value.exit_code == exit_code(error("x")) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == ("robo" if code == 0 else "robo: error") + ": do this next\n"


@pytest.mark.parametrize(("error", "code"), CODES)
def test_with_json_the_error_is_one_object(error, code, capsys):
    with pytest.raises(typer.Exit), exits(True):
        raise error("do this next")
    told = json.loads(capsys.readouterr().out)
    points = {"open_points": []} if error is AskPerson else {}
    assert told == {"error": "do this next", "kind": error.__name__, "exit_code": code} | points


def test_what_a_person_must_decide_is_listed_for_scripts(capsys):
    with pytest.raises(typer.Exit), exits(True):
        raise AskPerson("two differ", [{"id": "D1", "kind": "cash difference"}])
    told = json.loads(capsys.readouterr().out)
    assert told["open_points"] == [{"id": "D1", "kind": "cash difference"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reconcile", "--accept", "D1"], "needs a reason"),
        (["reconcile", "--reason", "why"], "go with --accept"),
        (["settle", "p.1.1", "--never-sent"], "needs a reason"),
        (["settle", "p.1.1", "--never-sent", "--cancelled", "--reason", "x"], "give one of"),
        (["settle", "p.1.1", "--filled", "30", "--reason", "x"], "write shares@USD, as 30@50.10"),
    ],
)
def test_a_decision_of_a_person_is_asked_for_whole(arguments, words):
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 2
    assert words in told.stderr


def test_an_interrupt_says_how_to_go_on(capsys):
    with pytest.raises(typer.Exit) as raised, exits(False):
        raise KeyboardInterrupt
    assert raised.value.exit_code == 1
    assert "run the same command again" in capsys.readouterr().err


def test_a_defect_is_not_dressed_up():
    with pytest.raises(ZeroDivisionError), exits(False):
        raise ZeroDivisionError
    assert exit_code(ZeroDivisionError()) == 1


def test_answers_are_json_or_text(capsys):
    @dataclass
    class Facts:
        cash: Decimal
        day: date

    answer(Facts(Decimal("1.10"), date(2022, 12, 29)), True)
    assert json.loads(capsys.readouterr().out) == {"cash": "1.10", "day": "2022-12-29"}
    answer({}, False, "text")
    assert capsys.readouterr().out == "text\n"


def test_a_flow_with_rightly_nothing_to_do_is_completed_and_says_why():
    def closed():
        raise SkipToday("market closed: 2023-01-02 is no session")

    state = finish(closed)
    assert state.is_completed()
    assert (state.name, state.message) == ("Skipped", "market closed: 2023-01-02 is no session")
    done = finish(lambda: Outcome("done", 5))
    assert (done.name, done.message) == ("Completed", "done")


def test_a_flow_that_must_not_go_on_raises():
    def halted():
        raise HaltTrading("stop")

    with pytest.raises(HaltTrading):
        finish(halted)


@pytest.mark.parametrize(
    ("asked", "now", "planned"),
    [
        (None, datetime(2022, 12, 29, 13, tzinfo=UTC), date(2022, 12, 29)),
        (None, datetime(2022, 12, 29, 20, 59, tzinfo=UTC), date(2022, 12, 29)),
        (None, datetime(2022, 12, 29, 21, tzinfo=UTC), date(2022, 12, 30)),
        (None, datetime(2022, 12, 30, 22, tzinfo=UTC), date(2023, 1, 3)),
        (date(2023, 7, 3), datetime(2022, 12, 29, 13, tzinfo=UTC), date(2023, 7, 3)),
    ],
)
def test_the_session_planned_is_the_one_that_can_still_be_traded(asked, now, planned):
    assert session_to_plan(asked, now).date == planned


@pytest.mark.parametrize("day", [date(2023, 1, 2), date(2022, 12, 31)])
def test_a_day_without_a_session_is_not_planned(day):
    with pytest.raises(SkipToday, match=f"market closed: {day}"):
        session_to_plan(day, datetime(2022, 12, 29, 13, tzinfo=UTC))
