"""The verbs with which a person compares broker and ledger, and settles what differs."""

from __future__ import annotations

import getpass
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli_exit import answer, exits
from flows.cli_flows import AsJson, run_verb
from models.domain.errors import InvalidInput, RetryLater
from models.execution.differences import CashKind
from models.execution.settling import Claim, Verdict

if TYPE_CHECKING:
    from tasks.session.settlement import Dossier

FILLED = re.compile(r"(?P<shares>\d+)@(?P<price>\d+(\.\d+)?)")
Reason = Annotated[str, typer.Option(help="Why; it is kept in the ledger for ever.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (reconcile, settle):
        app.command()(verb)


def reconcile(
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Take the proposed correction of a difference (D1); may be repeated."),
    ] = None,
    reason: Reason = "",
    cash_kind: Annotated[
        CashKind | None, typer.Option("--as", help="What accepted cash is.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the broker with the ledger, to the share and the cent; exit 1 when they differ."""
    ids = [name for text in accept or [] for name in text.replace(",", " ").split()]

    def work() -> Any:
        from flows.parameters import ReconcileParameters
        from flows.reconcile import reconcile as run

        parameters = ReconcileParameters(
            moment="now", accept=ids, reason=reason, cash_kind=cash_kind
        )
        return run(parameters, return_state=True)

    with exits(as_json):
        if ids and not reason.strip():
            raise InvalidInput('accepting a difference needs a reason: add --reason "why"')
        if not ids and (reason or cash_kind):
            raise InvalidInput("--reason and --as go with --accept ID")
    run_verb(work, as_json)


def settle(
    order_ref: Annotated[str, typer.Argument(help="The child order: parent.slice.attempt.")],
    *,
    never_sent: Annotated[bool, typer.Option("--never-sent", help="It never left.")] = False,
    cancelled: Annotated[bool, typer.Option("--cancelled", help="It ended unfilled.")] = False,
    filled: Annotated[str, typer.Option(help="Shares and price that it filled: 30@50.10")] = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show what is known of a child that nothing settles; with a verdict and a reason, settle it.

    Refused while the broker's evidence contradicts the verdict.
    """
    with exits(as_json):
        claim = _claim(never_sent, cancelled, filled)
        if claim is not None and not reason.strip():
            raise InvalidInput('settling a child needs a reason: add --reason "why"')
        dossier, state = _settle(order_ref, claim, reason)
        lines = dossier.lines
        if state is None:
            lines.append("to settle it: --never-sent, --cancelled or --filled N@PRICE, --reason")
        else:
            lines.append(f"settled   {order_ref} is {state}; run robo reconcile to see the rest")
        facts = {"order_ref": order_ref, "settled": state, "known": dossier.lines}
        answer(facts, as_json, "\n".join(lines))


def _claim(never_sent: bool, cancelled: bool, filled: str) -> Claim | None:
    if never_sent + cancelled + bool(filled) > 1:
        raise InvalidInput("give one of --never-sent, --cancelled and --filled N@PRICE")
    if filled:
        match = FILLED.fullmatch(filled.replace(",", ""))
        if match is None:
            raise InvalidInput(f"--filled {filled!r} cannot be read; write shares@USD, as 30@50.10")
        return Claim(Verdict.FILLED, int(match["shares"]), Decimal(match["price"]))
    if never_sent or cancelled:
        return Claim(Verdict.NEVER_SENT if never_sent else Verdict.CANCELLED)
    return None


def _settle(order_ref: str, claim: Claim | None, reason: str) -> tuple[Dossier, str | None]:
    """Read the account once, show the child, and settle it if a verdict was given."""
    from tasks.books.account_snapshot import read_account
    from tasks.leases.session_lease import SessionLease
    from tasks.session.settlement import open_dossier, settle_child
    from tasks.settings import load_settings
    from tasks.stores import open_ledger

    settings = load_settings()
    with open_ledger(settings) as ledger:
        ledger.children.require(order_ref)  # before the gateway is asked for anything
        lease = SessionLease.take(ledger, settings, busy=RetryLater)
        try:
            evidence = read_account(settings)
            dossier = open_dossier(ledger, evidence, order_ref)
            if claim is None:
                return dossier, None
            by, at = getpass.getuser(), evidence.at
            state = settle_child(ledger, settings, dossier, claim, reason=reason, by=by, at=at)
            return dossier, state.value
        finally:
            lease.release()
