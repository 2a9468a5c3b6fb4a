"""A run's own end is told even when Prefect could not be; and it says which of errors it is."""

from contextlib import contextmanager

import httpx
import pytest
from prefect.states import Completed

from flows.outcomes import finish
from flows.recorded_run import recorded_run
from flows.run_end import Outcome, RunEnd
from models.domain.errors import RetryLater, SkipToday

URL = "http://127.0.0.1:9/api"


@pytest.fixture
def prefect_at(monkeypatch):
    """Let the API be at an address where nothing answers."""

    @contextmanager
    def api(_settings):
        yield URL

    monkeypatch.setattr("tasks.services.prefect_api.prefect_api", api)
    monkeypatch.setattr("flows.recorded_run.keep_run_logs_off_terminal", lambda: None)
    monkeypatch.setattr("flows.recorded_run.flush_records", lambda: None)


def unreachable(work):
    """A flow whose last report to Prefect fails."""

    def run():
        try:
            finish(work)
        finally:
            raise httpx.ConnectError("connection refused")  # as Prefect's engine does

    return run


def test_a_flow_that_ended_well_is_done_though_prefect_was_not_told(prefect_at, capsys):
    outcome = recorded_run(unreachable(lambda: Outcome("all filled", 5)), None)
    assert (outcome.message, outcome.facts) == ("all filled", 5)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "done, but Prefect's API" in said
    assert "connection refused" in said


def test_the_flows_own_error_comes_first(prefect_at, capsys):
    def work():
        raise RetryLater("no gateway answers; start it")

    with pytest.raises(RetryLater, match="no gateway answers; start it"):
        recorded_run(unreachable(work), None)
    assert "could not be told how this ended" in capsys.readouterr().err


def test_a_flow_cut_short_by_prefect_says_what_to_do(prefect_at):
    def begin():
        raise httpx.ConnectError("connection refused")

    with pytest.raises(RetryLater, match=r"went away during the run.*make serve.*run the same"):
        recorded_run(begin, None)


def test_a_flow_that_prefect_recorded_is_returned(prefect_at):
    kept = Outcome("fine")
    assert recorded_run(lambda: Completed(data=kept), None) is kept


def test_a_defect_with_prefect_up_stays_a_defect(prefect_at, monkeypatch):
    monkeypatch.setattr("tasks.services.prefect_api.answers_at", lambda _url: True)
    with pytest.raises(ZeroDivisionError):
        recorded_run(lambda: 1 / 0, None)


def test_a_steps_error_outlives_what_fails_around_it():
    end, refused = RunEnd(), RetryLater("no gateway")
    end.begin()
    end.begin()
    assert end.fail(refused)
    assert not end.fail(refused), "the run around it passes the same error on: no news"
    assert end.error is refused
    end.begin()
    end.begin()
    end.fail(refused)
    assert end.fail(httpx.ConnectError("refused"))
    assert end.error is refused


def test_a_skipped_step_is_an_outcome_and_a_new_run_forgets_the_last():
    end = RunEnd()
    end.begin()
    end.fail(ZeroDivisionError())
    end.begin()
    assert end.error is None
    end.succeed(Outcome("done"))
    assert (end.outcome.message, end.depth) == ("done", 0)

    def closed():
        raise SkipToday("closed")

    assert finish(closed).name == "Skipped"
