"""Alerts are appended one line each, and read back past whatever a crash left behind."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.errors import (
    AskPerson,
    HaltTrading,
    InvalidInput,
    LeaseHeld,
    RetryLater,
    SkipToday,
)
from tasks.alerts import Alert, needs_person, raise_alert, recent_alerts

NOW = datetime(2022, 12, 29, 15, tzinfo=UTC)


def an_alert(number: int = 0, text: str = "look at it") -> Alert:
    return Alert(NOW + timedelta(minutes=number), "error", f"subject {number}", text)


def test_the_last_alerts_come_back_as_they_were_oldest_first(tmp_path):
    path = tmp_path / "deep" / "alerts.jsonl"
    assert recent_alerts(path) == []
    for number in range(8):
        raise_alert(path, an_alert(number, "naïve – 日本"))
    assert recent_alerts(path, 3) == [an_alert(n, "naïve – 日本") for n in (5, 6, 7)]
    assert path.stat().st_mode & 0o077 == 0, "only its owner reads it"


@pytest.mark.parametrize("broken", ['{"at": "2022', "null", '"text"', '{"at": 5}', "[]", "{}"])
def test_a_broken_line_swallows_no_alert(tmp_path, broken):
    path = tmp_path / "alerts.jsonl"
    raise_alert(path, an_alert(1))
    with path.open("a") as file:
        file.write(broken)  # no line end: the process died in the middle
    raise_alert(path, an_alert(2))
    assert recent_alerts(path) == [an_alert(1), an_alert(2)]


def test_alerts_of_many_threads_keep_their_lines(tmp_path):
    path = tmp_path / "alerts.jsonl"
    path.touch()
    threads = [
        threading.Thread(target=lambda n=n: [raise_alert(path, an_alert(n)) for _ in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [line for line in path.read_text().splitlines() if line]
    assert len(lines) == 80
    assert all(json.loads(line)["severity"] == "error" for line in lines)


def test_an_unwritable_file_is_logged_and_no_error(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.touch()
    with caplog.at_level("ERROR", "robo.alerts"):
        raise_alert(blocked / "alerts.jsonl", an_alert())
    assert "subject 0: look at it" in caplog.text
    assert "could not be kept" in caplog.text
    assert blocked.read_bytes() == b""


@pytest.mark.parametrize(
    ("error", "scheduled", "trades", "told"),
    [
        (InvalidInput("no such symbol"), False, False, False),
        (InvalidInput("no such symbol"), False, True, False),
        (InvalidInput("the batch failed"), True, False, True),
        (RetryLater("no gateway answers"), False, False, False),
        (RetryLater("no gateway answers"), False, True, True),
        (RetryLater("no gateway answers"), True, False, True),
        (LeaseHeld("held by 12"), True, True, False),
        (HaltTrading("positions differ"), False, False, True),
        (AskPerson("1 difference"), False, False, True),
        (SkipToday("closed"), True, True, False),
        (KeyboardInterrupt(), True, True, False),
        (ZeroDivisionError("defect"), False, False, False),
        (ZeroDivisionError("defect"), False, True, True),
        (ZeroDivisionError("defect"), True, False, True),
    ],
)
def test_only_what_a_person_must_know_is_an_alert(error, scheduled, trades, told):
    assert needs_person(error, is_scheduled=scheduled, trades=trades) is told
