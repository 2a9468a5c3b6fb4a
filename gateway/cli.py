"""The command line: `robo gateway ...` and `python -m gateway ...`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import cli_desk, cli_faults
from gateway.cli_answers import AsJson, status_text, stop_with, tell
from gateway.cli_progress import Progress
from gateway.control_client import ask
from models.domain.errors import InvalidInput, RoboError

if TYPE_CHECKING:
    from datetime import date

    from gateway.options import GatewayOptions

RUNNING = "Running"

app = typer.Typer(
    name="gateway",
    no_args_is_help=True,
    help="A simulated IB Gateway: a server of the TWS API protocol (versions 157 to 178) on "
    "loopback. Unmodified ib_async, ib_insync and ibapi connect to it and trade in its market: "
    "order books with background flow, in market time of any speed, with faults on demand. Daily "
    "closes of 20 US stocks (1990-2022) are real; everything inside a day, and every day after "
    "them, is simulated from a seed. No order leaves this machine.\n\n"
    "Start with `robo gateway run`, point a client at 127.0.0.1:4999, and let time pass with "
    "`robo gateway advance --to next-open` (or run it with --clock free). What is served, what is "
    "known to differ and every code: docs/gateway.md.",
)

HOST = "127.0.0.1"
GARBAGE_THRESHOLDS = 20_000, 20, 50
DEFAULT_STATE = Path("var") / "gateway"

Host = Annotated[str, typer.Option(help="Loopback address to listen on.")]
Port = Annotated[int, typer.Option(help="TCP port of the API (0: any free one).")]
ControlPort = Annotated[int, typer.Option(help="TCP port of the control socket.")]


@app.command(rich_help_panel=RUNNING)
def run(  # noqa: PLR0917 - Typer reads the options from the signature
    host: Host = HOST,
    port: Port = 4999,
    control_port: ControlPort = 4998,
    seed: Annotated[int, typer.Option(help="Seed of everything simulated.")] = 7,
    speed: Annotated[float, typer.Option(help="Market seconds per wall second, 0.01-3600.")] = 60.0,
    clock: Annotated[
        str,
        typer.Option(
            help="held: time moves when its holders say; step: the same, at once; free: it "
            "always runs."
        ),
    ] = "held",
    source: Annotated[
        str,
        typer.Option(help="What is played: simulated, bars:FILE or lobster:MESSAGES,BOOK."),
    ] = "simulated",
    market_data: Annotated[
        str, typer.Option(help="live, or delayed: an account without market data subscriptions.")
    ] = "live",
    state_dir: Annotated[
        Path, typer.Option(help="Folder of the state that survives a restart.")
    ] = DEFAULT_STATE,
    server_version: Annotated[
        int, typer.Option(help="Newest TWS server version to speak, 157-178.")
    ] = 178,
    master_client_id: Annotated[
        int, typer.Option(help="Client id that hears of every client's orders (-1: none).")
    ] = -1,
    cash: Annotated[int, typer.Option(help="Opening cash in whole USD (first start).")] = 100_000,
    start: Annotated[
        str, typer.Option(help="First session to simulate, YYYY-MM-DD (first start).")
    ] = "",
    reset: Annotated[bool, typer.Option("--reset", help="Forget the stored state.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --reset.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens to stderr.")] = False,
    faults: cli_faults.Script = None,
    messages_per_second: cli_faults.Messages = 50,
    market_data_lines: cli_faults.Lines = 100,
    depth_lines: cli_faults.Depth = 3,
    tick_by_tick_lines: cli_faults.Ticks = 3,
    tick_by_tick_seconds: cli_faults.TickSeconds = 15,
    history_requests: cli_faults.History = 60,
    open_histories: cli_faults.Open = 50,
    active_orders: cli_faults.Orders = 20,
    pacing: cli_faults.Pacing = True,
    handshake_seconds: cli_faults.Handshake = 10.0,
    backlog_mb: cli_faults.Backlog = 64,
) -> None:
    """Run a gateway in the foreground until it is stopped."""
    from decimal import Decimal

    from gateway.limits import UNLIMITED, PacingLimits, SocketLimits
    from gateway.options import GatewayOptions

    if reset and not yes:
        typer.confirm(f"Forget every order, position and the clock in {state_dir}?", abort=True)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s level=%(levelname)s logger=%(name)s %(message)s",
    )
    try:
        options = GatewayOptions(
            state_dir=state_dir,
            host=host,
            port=port,
            control_port=control_port,
            seed=seed,
            speed=speed,
            clock=clock,
            source=source,
            market_data=market_data,
            server_version=server_version,
            master_client_id=None if master_client_id < 0 else master_client_id,
            cash=Decimal(cash),
            start=_date(start) if start else None,
            reset=reset,
            faults=faults,
            pacing=PacingLimits(
                messages_per_second=messages_per_second,
                market_data_lines=market_data_lines,
                depth_lines=depth_lines,
                tick_by_tick_lines=tick_by_tick_lines,
                tick_by_tick_seconds=tick_by_tick_seconds,
                history_requests=history_requests,
                open_histories=open_histories,
                active_orders=active_orders,
            )
            if pacing
            else UNLIMITED,
            sockets=SocketLimits(handshake_seconds, backlog_mb),
        )
        _serve(options)
    except RoboError as error:
        stop_with(error)


def _serve(options: GatewayOptions) -> None:
    import asyncio
    import gc

    from gateway.server import Ready, serve

    def announce(ready: Ready) -> None:
        # The collector walks what it made so far never again, and the rest seldom: orders would
        # wait for it (50 ms), and next to nothing here is a cycle.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        typer.echo(str(ready))

    asyncio.run(serve(options, announce))


def _date(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"--start {text} is no date ({error}); write YYYY-MM-DD") from error


@app.command(rich_help_panel=RUNNING)
def status(host: Host = HOST, control_port: ControlPort = 4998, as_json: AsJson = False) -> None:
    """Show time, clients, orders and holders."""
    try:
        hello = ask(host, control_port, {"op": "hello"})
        state = ask(host, control_port, {"op": "status"})
    except RoboError as error:
        stop_with(error, as_json)
    if as_json:
        tell({**hello, **state})
    else:
        typer.echo(status_text({**hello, **state}))


@app.command(rich_help_panel=RUNNING)
def advance(
    to: Annotated[str, typer.Option(help="An ISO-8601 moment, next-open or next-close.")],
    timeout: Annotated[
        float, typer.Option(help="Wall seconds after which to give up and stop there (0: never).")
    ] = 0.0,
    host: Host = HOST,
    control_port: ControlPort = 4998,
    as_json: AsJson = False,
) -> None:
    """Let market time run to a moment; Ctrl-C stops it where it is.

    Sessions run at the gateway's --speed (at once with --clock step); closed hours are jumped over.
    """
    try:
        if to in {"next-open", "next-close"}:
            to = _next(to, host, control_port)
        progress = Progress(lambda: ask(host, control_port, {"op": "status"}), to, timeout)
        request = {"op": "advance", "to": to, "while_connected": True}
        reply = ask(host, control_port, request, timeout=None, waiting=progress.tell)
    except RoboError as error:
        stop_with(error, as_json)
    if as_json:
        tell({"now": reply["now"]})
    else:
        typer.echo(reply["now"])


@app.command(rich_help_panel=RUNNING)
def stop(host: Host = HOST, control_port: ControlPort = 4998, as_json: AsJson = False) -> None:
    """Stop a running gateway; its state is kept."""
    try:
        reply = ask(host, control_port, {"op": "shutdown"})
    except RoboError as error:
        stop_with(error, as_json)
    if as_json:
        tell({"stopped": True, "now": reply["now"]})
    else:
        typer.echo(f"stopped at market time {reply['now']}")


def _next(what: str, host: str, control_port: int) -> str:
    """Return the next open or close strictly after market time."""
    from datetime import date, datetime

    from models.domain.sessions import next_session

    hello = ask(host, control_port, {"op": "hello"})
    edge = what.removeprefix("next-")
    moment = hello["session"][edge]
    if datetime.fromisoformat(moment) <= datetime.fromisoformat(hello["now"]):
        later = next_session(date.fromisoformat(hello["session"]["date"]))
        moment = (later.open if edge == "open" else later.close).isoformat()
    return moment


cli_desk.register(app)
cli_faults.register(app)


def main() -> None:
    """Run the command line."""
    app()
