"""A flow run at the terminal: recorded by Prefect, and told in full even when Prefect goes away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from flows.console import flush_records, keep_run_logs_off_terminal
from flows.run_end import last_end
from models.domain.errors import RetryLater, RoboError

if TYPE_CHECKING:
    from flows.run_end import Outcome
    from tasks.settings import Settings


def recorded_run(work: Callable[[], Any], settings: Settings) -> Outcome:
    """Run a flow with a Prefect API at hand and return its outcome, or raise what it raised.

    `work` returns the run's final state. When the API went away during the run, the flow's own end
    counts all the same, and one line on stderr says that Prefect was not told; RetryLater when the
    flow could not come to an end for it.
    """
    from tasks.services.prefect_api import prefect_api

    last_end.forget()
    with prefect_api(settings) as url:
        keep_run_logs_off_terminal()
        is_there = True
        try:
            return work().result()
        except RoboError:
            raise
        except Exception as error:
            is_there = not _is_gone(error, url)
            if is_there:
                raise
            return _own_end(error, url)
        finally:
            if is_there:
                flush_records()


def _is_gone(error: Exception, url: str) -> bool:
    """Say whether a run failed because the Prefect API did, not because of the run."""
    import httpx

    from tasks.services.prefect_api import answers_at

    return isinstance(error, httpx.HTTPError) or not answers_at(url)


def _own_end(error: Exception, url: str) -> Outcome:
    if last_end.outcome is not None:
        _note(f"done, but Prefect's API at {url} could not be told", error)
        return last_end.outcome
    if isinstance(last_end.error, RoboError):
        _note(f"Prefect's API at {url} could not be told how this ended", error)
        raise last_end.error from None
    raise RetryLater(
        f"Prefect's API at {url} went away during the run ({_why(error)}); nothing is lost: see "
        "that it runs (`make serve`, or unset PREFECT_API_URL), then run the same command again"
    ) from None


def _note(text: str, error: Exception) -> None:
    typer.echo(f"robo: {text} ({_why(error)})", err=True)


def _why(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__
