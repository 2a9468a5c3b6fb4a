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


def status_text(facts: dict[str, Any]) -> str:
    """Return what a running gateway says of itself as lines for a person."""
    session, orders = facts["session"], facts["orders"]
    state = "running" if facts["running"] else "standing"
    clients = ", ".join(map(str, facts["clients"])) or "none"
    holders = [f"{one['name']} to {one['target'] or 'nowhere yet'}" for one in facts["holders"]]
    lines = [
        f"{facts['gateway']} {facts['version']}, process {facts['pid']}, account "
        f"{facts['account']}, API port {facts['api_port']}",
        f"market time {facts['now']}, {state}; clock {facts['clock']} at speed "
        f"{facts['speed']:g} (market seconds a wall second)",
        f"session {session['date']}: {session['open']} to {session['close']}, "
        f"{'open' if session['running'] else 'not open'}",
        f"clients: {clients}",
        f"orders: {orders['working']} working of {orders['today']} today; "
        f"{orders['executions']} executions",
        *(f"  {line}" for line in orders["open"]),
        f"halted: {', '.join(facts['halted']) or 'none'}",
        f"clock held by: {'; '.join(holders) or 'nobody'}",
        f"market (seed {facts['seed']}): {facts['market']}",
    ]
    return "\n".join(lines)


def stop_with(error: RoboError, as_json: bool = False) -> NoReturn:
    """End the command: exit code 2 for wrong input, else 1."""
    code = 2 if isinstance(error, InvalidInput) else 1
    if as_json:
        tell({"error": str(error), "kind": type(error).__name__, "exit_code": code})
    else:
        typer.echo(f"error: {error}", err=True)
    raise typer.Exit(code)
