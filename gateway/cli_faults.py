"""The part of the command line for faults, limits and recordings."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli_answers import AsJson, stop_with, tell
from gateway.control_client import ask
from models.domain.errors import InvalidInput, RoboError

PACING = "Pacing (Interactive Brokers' documented limits; 0 lifts one)"
SOCKETS = "Faults and sockets"
HOST = "127.0.0.1"


def _limit(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel=PACING)


Script = Annotated[
    Path | None,
    typer.Option("--faults", help="YAML script of faults to come.", rich_help_panel=SOCKETS),
]
Messages = Annotated[int, _limit("Messages a second from one client (100, then a close).")]
Lines = Annotated[int, _limit("Instruments with market data at once (101).")]
Depth = Annotated[int, _limit("Instruments with market depth at once (309).")]
Ticks = Annotated[int, _limit("Instruments with tick-by-tick data at once (10190).")]
TickSeconds = Annotated[
    int, _limit("Seconds between tick-by-tick requests for one kind of one instrument (10190).")
]
History = Annotated[int, _limit("Requests for bars up to 30 s in ten minutes (162).")]
Open = Annotated[int, _limit("History requests open at once (322).")]
Orders = Annotated[int, _limit("Working orders on one side of one contract (201).")]
Pacing = Annotated[
    bool,
    typer.Option("--pacing/--no-pacing", help="Enforce limits at all.", rich_help_panel=PACING),
]
Handshake = Annotated[
    float,
    typer.Option(help="Wall seconds that a client has for its handshake.", rich_help_panel=SOCKETS),
]
Backlog = Annotated[
    int,
    typer.Option(
        help="Megabytes that a client may leave unread before it is cut off.",
        rich_help_panel=SOCKETS,
    ),
]
Host = Annotated[str, typer.Option(help="Loopback address of the gateway.")]
ControlPort = Annotated[int, typer.Option(help="TCP port of the control socket.")]


def fault(  # noqa: PLR0917 - Typer reads the options from the signature
    name: Annotated[str, typer.Argument(help="A name that `robo gateway faults` lists.")],
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, as often as needed.")] = None,
    at: Annotated[
        str, typer.Option(help="ISO-8601 market moment, or HH:MM:SS in New York, every day.")
    ] = "",
    after: Annotated[float | None, typer.Option(help="Market seconds from now.")] = None,
    on: Annotated[
        str, typer.Option(help="A request such as placeOrder, or connect or execution.")
    ] = "",
    nth: Annotated[int, typer.Option(help="Which of them.")] = 1,
    host: Host = HOST,
    control_port: ControlPort = 4998,
    as_json: AsJson = False,
) -> None:
    """Let a running gateway fail, now or later.

    With --at, --after or --on (and --nth) it waits for a moment or for a request.
    """
    request: dict[str, Any] = {"op": "fault", "fault": name, "nth": nth, "at": at, "on": on}
    request["after"] = after
    try:
        request["params"] = dict(_pair(text) for text in param or [])
        reply = ask(host, control_port, request)
    except RoboError as error:
        stop_with(error, as_json)
    if as_json:
        tell({"now": reply["now"], "active": reply["active"]})
        return
    typer.echo(f"market time {reply['now']}; at work or waiting:")
    for active in reply["active"]:
        typer.echo(f"  {_line(active)}")


def faults(
    clear: Annotated[bool, typer.Option("--clear", help="End every fault and trigger.")] = False,
    active: Annotated[
        bool, typer.Option("--active", help="Show what is at work in a running gateway.")
    ] = False,
    host: Host = HOST,
    control_port: ControlPort = 4998,
    as_json: AsJson = False,
) -> None:
    """List the faults there are; show, clear them."""
    try:
        if clear:
            found = {"ended": ask(host, control_port, {"op": "clear-faults"})["ended"]}
        elif active:
            found = {"active": ask(host, control_port, {"op": "faults"})["active"]}
        else:
            found = {"faults": _known()}
    except RoboError as error:
        stop_with(error, as_json)
    if as_json:
        tell(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    if "ended" in found:
        typer.echo(f"{found['ended']} faults ended")
    for one in found.get("active", ()):
        typer.echo(_line(one))
    for kind in found.get("faults", ()):
        typer.echo(f"{kind['fault']:<19}{kind['summary']}")
        if kind["params"]:
            params = " ".join(f"{name}={_short(value)}" for name, value in kind["params"].items())
            typer.echo(f"{'':<19}{params}")


def _known() -> list[dict[str, Any]]:
    from gateway.faults import desk  # noqa: F401 - it brings every kind
    from gateway.faults.registry import described

    return [dict(kind) for kind in described()]


def record(
    to: Annotated[str, typer.Option(help="HOST:PORT of the gateway to record.")],
    out: Annotated[Path, typer.Option(help="Folder for the recordings, one file a connection.")],
    listen: Annotated[int, typer.Option(help="TCP port that the client connects to.")] = 5999,
) -> None:
    """Record a client and a real gateway.

    It stands between the two and saves both directions, one file a connection, accounts masked.
    """
    import asyncio

    from gateway.recorder import Recorder

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        recorder = Recorder(to, out)
        asyncio.run(recorder.run(listen, typer.echo))
    except RoboError as error:
        stop_with(error)
    except KeyboardInterrupt:
        typer.echo("stopped")


def compare(
    first: Annotated[Path, typer.Argument(help="A recording (a .jsonl file).")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """Compare the layouts of two recordings.

    Lists the messages that are laid out differently; the exit code is 1 if there are any.
    """
    from gateway.recordings import differences

    try:
        found = differences(first, second)
    except RoboError as error:
        stop_with(error, as_json)
    if as_json:
        tell({"differences": list(found)})
        raise typer.Exit(1 if found else 0)
    for line in found:
        typer.echo(line)
    if not found:
        typer.echo("every message that both hold has the same layout")
    raise typer.Exit(1 if found else 0)


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    for command in (fault, faults):
        app.command(rich_help_panel="Faults")(command)
    for command in (record, compare):
        app.command(rich_help_panel="Recordings of real sessions")(command)


def _short(value: Any) -> str:
    """Return a default as it would be typed: true, 5, or a quoted text."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) and " " in value else f"{value}"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput(f"--param {text!r} is no NAME=VALUE")
    return name.strip().replace("-", "_"), value.strip()


def _line(active: dict[str, Any]) -> str:
    params = json.dumps(active["params"])
    waits = f" waits for {active['waits_for']}" if "waits_for" in active else ""
    return f"{active['fault']} {params}{waits}"


def ask_or_stop(
    host: str, port: int, request: dict[str, Any], as_json: bool = False
) -> dict[str, Any]:
    """Ask a running gateway over its control socket; end the command with what is wrong."""
    try:
        return ask(host, port, request)
    except RoboError as error:
        stop_with(error, as_json)
