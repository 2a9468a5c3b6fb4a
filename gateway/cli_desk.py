"""The part of the command line for what happens beside the API: orders by hand, halts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli_answers import AsJson, tell
from gateway.cli_faults import HOST, ControlPort, Host, ask_or_stop

BY_HAND = "Beside the API"


def order(  # noqa: PLR0917 - Typer reads the options from the signature
    action: Annotated[str, typer.Argument(help="BUY or SELL.")],
    quantity: Annotated[int, typer.Argument(help="Shares.")],
    symbol: Annotated[str, typer.Argument(help="Such as AAPL.")],
    kind: Annotated[str, typer.Option("--type", help="MKT, LMT, STP, STP LMT, MOC, ...")] = "",
    limit: Annotated[str, typer.Option(help="Limit price in USD (LMT if no type is given).")] = "",
    stop: Annotated[str, typer.Option(help="Stop price in USD.")] = "",
    tif: Annotated[str, typer.Option(help="DAY, GTC, IOC, FOK or OPG.")] = "DAY",
    outside_rth: Annotated[bool, typer.Option(help="Let it trade before and after hours.")] = False,
    order_ref: Annotated[str, typer.Option(help="Order reference that clients hear.")] = "",
    host: Host = HOST,
    control_port: ControlPort = 4998,
    as_json: AsJson = False,
) -> None:
    """Enter an order by hand, as in TWS.

    The master client hears of it; client 0 may bind it and then change or cancel it.
    """
    request: dict[str, Any] = {
        **{"op": "order", "symbol": symbol, "action": action, "quantity": quantity, "tif": tif},
        **{"type": kind or ("LMT" if limit else "MKT"), "outside_rth": outside_rth},
        **{"limit": limit or None, "stop": stop or None, "order_ref": order_ref or None},
    }
    _say(ask_or_stop(host, control_port, request, as_json), as_json)


def cancel(
    perm_id: Annotated[int, typer.Argument(help="Permanent id; `status` lists open orders.")],
    host: Host = HOST,
    control_port: ControlPort = 4998,
    as_json: AsJson = False,
) -> None:
    """Cancel any client's order by hand."""
    request = {"op": "cancel", "perm_id": perm_id}
    _say(ask_or_stop(host, control_port, request, as_json), as_json)


def halt(
    symbol: Annotated[str, typer.Argument(help="Such as AAPL.")],
    host: Host = HOST,
    control_port: ControlPort = 4998,
    as_json: AsJson = False,
) -> None:
    """Halt trading of an instrument: quotes say so, orders wait."""
    request = {"op": "halt", "symbol": symbol}
    _tell_halted(ask_or_stop(host, control_port, request, as_json), as_json)


def resume(
    symbol: Annotated[str, typer.Argument(help="Such as AAPL.")],
    host: Host = HOST,
    control_port: ControlPort = 4998,
    as_json: AsJson = False,
) -> None:
    """Resume trading of a halted instrument."""
    request = {"op": "resume", "symbol": symbol}
    _tell_halted(ask_or_stop(host, control_port, request, as_json), as_json)


def _say(reply: dict[str, Any], as_json: bool) -> None:
    if as_json:
        tell({name: value for name, value in reply.items() if name not in {"id", "ok"}})
        return
    reason = f" ({reply['reason']})" if reply["reason"] else ""
    price = f" at {reply['average_price']:.4f} USD on average" if reply["filled"] else ""
    typer.echo(
        f"order {reply['perm_id']}: {reply['status']}, {reply['filled']} shares filled"
        f"{price}{reason}"
    )


def _tell_halted(reply: dict[str, Any], as_json: bool) -> None:
    if as_json:
        tell({"now": reply["now"], "halted": reply["halted"]})
        return
    typer.echo(f"market time {reply['now']}; halted: {', '.join(reply['halted']) or 'none'}")


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    for command in (order, cancel, halt, resume):
        app.command(rich_help_panel=BY_HAND)(command)
