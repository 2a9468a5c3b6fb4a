"""How a flow run ends: Completed, skipped when there is rightly nothing to do, or Failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.console import say
from flows.hooks import alert_of
from flows.run_end import Outcome, last_end
from models.domain.errors import SkipToday
from tasks.redaction import redact, redact_error


def run_name() -> str:
    """Name the present flow run by its flow and the UTC minute it started in."""
    from prefect.runtime import flow_run

    return f"{flow_run.flow_name} {datetime.now(UTC):%Y-%m-%d %H:%M}"


def finish(work: Callable[[], Outcome], *, announce: bool = True) -> State[Any]:
    """Run `work` and turn its outcome into the run's final state; SkipToday is no failure.

    `announce` is False where a run below has said the same already. How it ended is also kept in
    this process, and alerted if it must be, since Prefect may not be there to be told.
    """
    last_end.begin()
    try:
        outcome = work()
    except SkipToday as reason:
        outcome = Outcome(str(reason), skipped=True)
    except BaseException as error:
        redact_error(error)  # its text becomes the run's state, which the UI shows
        if last_end.fail(error):
            alert_of(error)
        raise
    last_end.succeed(outcome)
    if announce:
        say(outcome.message)
    name = "Skipped" if outcome.skipped else "Completed"
    return Completed(name=name, message=redact(outcome.message), data=outcome)
