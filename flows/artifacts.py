"""Tables on a run's page in the Prefect UI; the work never depends on their being there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_link_artifact, create_table_artifact

from flows.console import say
from tasks.redaction import redact

if TYPE_CHECKING:
    from tasks.sources.landing import LandingReport


def publish_table(rows: Sequence[Mapping[str, Any]], *, key: str, description: str) -> None:
    """Put a table on the page of the present run; say so when Prefect does not take it."""
    try:
        shown = [{name: _redacted(value) for name, value in row.items()} for row in rows]
        create_table_artifact(shown, key=key, description=redact(description))
    except Exception as error:  # Prefect's own, httpx's or the database's: all mean no table
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        say(f"no table {key} in the Prefect UI: {reason}")


def publish_landing(
    landing: LandingReport, *, key: str, description: str, more: Mapping[str, int] | None = None
) -> None:
    """Put what a source brought on the page of the present run, with a link to its Data Docs."""
    quality = landing.quality
    row = {
        "bars added": landing.added,
        "bars changed": landing.changed,
        "bars unchanged": landing.unchanged,
        "quarantined rows": sum(landing.rejected.values()),
        "rows with a warning": quality.warned,
        "gaps (places where bars are missing)": quality.remarks["gap"],
        **(more or {}),
        "seconds": round(landing.seconds, 1),
        "of it validation, s": round(quality.seconds, 1),
    }
    publish_table([row], key=key, description=description)
    if quality.docs:
        publish_link(quality.docs, key="data-docs", text="Data Docs of this validation")


def publish_link(link: str, *, key: str, text: str) -> None:
    """Put a link on the page of the present run; say so when Prefect does not take it."""
    try:
        create_link_artifact(link, link_text=text, key=key, description=f"{text}: `{link}`")
    except Exception as error:  # as for tables
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        say(f"no link {key} in the Prefect UI: {reason}; it is {link}")


def _redacted(value: Any) -> Any:
    return redact(value) if isinstance(value, str) else value
