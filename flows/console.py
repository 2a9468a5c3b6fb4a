"""Progress for whoever watches: the run's log in Prefect, and the terminal when there is one."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TextIO

from tasks.redaction import redact

ON_TERMINAL_ALREADY = ("prefect.flow_runs", "robo.alerts")
ABOUT_RECORDING = ("prefect.events", "prefect._internal")  # the verb says once that Prefect is away

_terminal: list[TextIO] = []


def show_progress_on(stream: TextIO | None) -> None:
    """Also write progress lines to `stream` from now on; None ends it."""
    _terminal[:] = [stream] if stream is not None else []


def say(text: str) -> None:
    """Log one line of progress in the present flow run, and show it."""
    from prefect.exceptions import MissingContextError
    from prefect.logging import get_run_logger

    with suppress(MissingContextError):
        get_run_logger().info(text)
    for stream in _terminal:
        stream.write(f"    {redact(text)}\n")
        stream.flush()


def keep_run_logs_off_terminal() -> None:
    """Leave the logs of flow runs to Prefect: `say` shows progress, the exit shows the error."""
    import prefect.logging.configuration  # which attaches the handlers

    prefect.logging.configuration.ensure_logging_setup()
    logging.raiseExceptions = False  # or a log that the API did not take is told on the terminal
    logging.getLogger("robo").propagate = True  # a session's warnings belong on both
    hidden = ON_TERMINAL_ALREADY + ABOUT_RECORDING
    for handler in (*logging.getLogger().handlers, *logging.getLogger(ABOUT_RECORDING[1]).handlers):
        handler.addFilter(lambda record: not record.name.startswith(hidden))


def headline(text: str) -> None:
    """Show a step's heading on the terminal."""
    for stream in _terminal:
        stream.write(f"{text}\n")
        stream.flush()


def terminal() -> TextIO:
    """Return the stream that progress goes to."""
    return sys.stderr


def flush_records(timeout: float = 10.0) -> None:
    """Send what Prefect still holds of logs and events, while its server is there to take them."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=timeout)
