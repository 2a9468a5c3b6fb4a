"""Errors as exit codes, and answers as text or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

import typer

from models.domain.errors import AskPerson, HaltTrading, InvalidInput, RoboError, SkipToday
from tasks.redaction import redact_error

DONE, FAILED, WRONG_INPUT, HALTED = 0, 1, 2, 3


def exit_code(error: BaseException) -> int:
    """Return the exit code that scripts are promised for an error."""
    if isinstance(error, SkipToday):
        return DONE
    if isinstance(error, HaltTrading):
        return HALTED
    return WRONG_INPUT if isinstance(error, InvalidInput) else FAILED


@contextmanager
def exits(as_json: bool) -> Iterator[None]:
    """Turn this system's errors into one line (or one JSON object) and the promised exit code."""
    try:
        yield
    except RoboError as error:
        code = exit_code(error)
        redact_error(error)
        if as_json:
            facts = {"error": str(error), "kind": type(error).__name__, "exit_code": code}
            points = {"open_points": error.open_points} if isinstance(error, AskPerson) else {}
            answer(facts | points, True)
        else:
            mark = "robo" if code == DONE else "robo: error"
            sys.stdout.flush()  # what was said before stands before it, where both are redirected
            typer.echo(f"{mark}: {error}", err=True)
        raise typer.Exit(code) from None
    except KeyboardInterrupt:
        text = "interrupted; what was done is kept: run the same command again to go on"
        if as_json:
            answer({"error": text, "kind": "Interrupted", "exit_code": FAILED}, True)
        else:
            typer.echo(f"robo: {text}", err=True)
        raise typer.Exit(FAILED) from None


def answer(facts: Any, as_json: bool, text: str = "") -> None:
    """Print the facts as one JSON object, or the text."""
    if as_json:
        plain = asdict(facts) if is_dataclass(facts) and not isinstance(facts, type) else facts
        sys.stdout.write(json.dumps(plain, default=str) + "\n")
    elif text:
        typer.echo(text)
