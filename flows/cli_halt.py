"""The verbs that stop trading, let it go on, and watch over it from outside."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli_exit import FAILED, WRONG_INPUT, answer, exits
from flows.cli_flows import AsJson
from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from tasks.halts.flattening import FlattenOutcome
    from tasks.halts.halting import HaltOutcome
    from tasks.settings import Settings

CONFIRMATION = "FLATTEN"
DEFAULT_REASON = "robo halt"

Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger.")]
Symbol = Annotated[str, typer.Option(help="One symbol; without it, everything.")]


ALL_ALONE = (
    "--all says which positions --flatten closes, and was given without it: new orders are blocked "
    "and working ones were cancelled as told above, and no position was closed. To close every "
    "position of the account, those traded by hand included: robo halt --flatten --all"
)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (halt, resume, watch):
        app.command()(verb)


def halt(
    reason: Reason = DEFAULT_REASON,
    symbol: Symbol = "",
    *,
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Then close this system's positions too.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="With --flatten: positions traded by hand as well.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Flatten without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop trading now: block every new order and cancel every working one."""
    with exits(as_json):
        from tasks.halts.halting import HaltOrder, halt_trading
        from tasks.settings import load_settings
        from tasks.symbols import require_known_symbol

        settings = load_settings()
        if symbol:
            symbol = require_known_symbol(settings, symbol, "--symbol")
        who, reason = getpass.getuser(), reason.strip() or DEFAULT_REASON
        done = halt_trading(settings, HaltOrder(reason, who, symbol=symbol))
        is_whole = not done.trouble and not done.still_working
        if not flatten:
            answer(done, as_json, halted_text(done))
        else:
            if not as_json:
                typer.echo(halted_text(done))
            _require_confirmation(settings, yes, everything)
            closed = _flatten(settings, who, reason, symbol, everything)
            answer(_both(done, closed), as_json, flattened_text(closed))
            is_whole = is_whole and not closed.left
        if everything and not flatten:
            raise InvalidInput(ALL_ALONE)
        if not is_whole:
            raise typer.Exit(FAILED)


def resume(
    reason: Annotated[str, typer.Option(help="Why it is safe again; kept in the ledger.")],
    symbol: Symbol = "",
    as_json: AsJson = False,
) -> None:
    """Reconcile now and, if broker and ledger agree, lift the halts and wake paused parents.

    The halt of one symbol is lifted with --symbol only.
    """
    with exits(as_json):
        from tasks.halts.resuming import resume_trading
        from tasks.settings import load_settings
        from tasks.stores import open_ledger
        from tasks.symbols import require_known_symbol

        settings = load_settings()
        if symbol:
            symbol = require_known_symbol(settings, symbol, "--symbol")
        with open_ledger(settings) as ledger:
            done = resume_trading(settings, ledger, reason, getpass.getuser(), symbol)
        answer(done, as_json, done.text)


def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between looks.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Watch the session from outside: end its orders when it is gone without a word."""
    with exits(as_json):
        from tasks.session.watching import watch_session
        from tasks.settings import load_settings

        for seen in watch_session(load_settings(), every, once=once):
            answer(seen, as_json, seen.text)


def halted_text(done: HaltOutcome) -> str:
    """Say what a halt did, with its times in seconds; what could not be done stands first.

    With trouble, no orders are no count: what was not read is not zero.
    """
    counted = f"{done.cancelled} working orders cancelled, {done.still_working} left"
    lift = f"`robo resume --symbol {done.symbol}`" if done.symbol else "`robo resume`"
    blocked = done.blocked_after is not None
    after = f"after {done.blocked_after:.2f} s" if blocked else ""
    if done.trouble:
        was_counted = done.cancelled or done.still_working
        stands = f"new orders ARE blocked ({after}) until {lift}" if blocked else ""
        rest = (stands, counted if was_counted else "")
        return "; ".join([f"halt incomplete: {done.trouble}", *(text for text in rest if text)])
    what = f"halted {done.symbol}" if done.symbol else "halted"
    return (
        f"{what}: {done.reason}. New orders are blocked ({after}) until {lift}; {counted} "
        f"(cancels sent after {done.cancelled_after or 0.0:.2f} s)"
    )


def flattened_text(closed: FlattenOutcome) -> str:
    """Say in lines what was closed, what is left and what was not touched, in shares."""
    lines = [f"closed {_shares(closed.closed)}"]
    if closed.left:
        lines.append(f"NOT closed: {_shares(closed.left)} ({closed.why_left})")
    if closed.external:
        lines.append(f"left alone, of no order of this system: {_shares(closed.external)}")
    return "\n".join(lines)


def _flatten(
    settings: Settings, who: str, reason: str, symbol: str, everything: bool
) -> FlattenOutcome:
    from tasks.halts.flattening import FlattenOrder, flatten_now

    def show(text: str) -> None:
        typer.echo(f"    {text}", err=True)

    return flatten_now(settings, FlattenOrder(who, reason, symbol, everything), show)


def _require_confirmation(settings: Settings, yes: bool, everything: bool) -> None:
    """Go on after --yes or the typed word; the halt stands in any case."""
    if yes:
        return
    whose = "every position of the account" if everything else "this system's positions"
    typed = ""
    if sys.stdin.isatty():
        typed = typer.prompt(
            f"Close {whose} in mode {settings.mode} now? Type {CONFIRMATION} to go on",
            default="",
            show_default=False,
            err=True,
        )
    if typed.strip() != CONFIRMATION:
        typer.echo(
            "robo: nothing was closed; the halt stands. To close, type "
            f"{CONFIRMATION} when asked, or give --yes",
            err=True,
        )
        raise typer.Exit(WRONG_INPUT)


def _both(done: HaltOutcome, closed: FlattenOutcome) -> dict[str, Any]:
    from dataclasses import asdict

    return {"halt": asdict(done), "flatten": asdict(closed)}


def _shares(positions: dict[str, int]) -> str:
    listed = ", ".join(f"{symbol} {shares:+,}" for symbol, shares in positions.items())
    return f"{listed} shares" if listed else "nothing"
