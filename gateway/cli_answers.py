"""Answers and errors of the command line, as text or as one JSON object."""

from __future__ import annotations

import json
from typing import Annotated, Any, NoReturn

import typer

from models.domain.errors import InvalidInput, RoboError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def tell(facts: dict[str, Any]) -> None:
    """Print the facts as one JSON object on one line."""
    typer.echo(json.dumps(facts, default=str))


def stop_with(error: RoboError, as_json: bool = False) -> NoReturn:
    """End the command: exit code 2 for wrong input, else 1."""
    code = 2 if isinstance(error, InvalidInput) else 1
    if as_json:
        tell({"error": str(error), "kind": type(error).__name__, "exit_code": code})
    else:
        typer.echo(f"error: {error}", err=True)
    raise typer.Exit(code)
