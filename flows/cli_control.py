"""The verbs that look, stop and start things; none of them trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.cli_exit import FAILED, HALTED, answer, exits
from flows.cli_flows import AsJson

if TYPE_CHECKING:
    from tasks.books.status import Status

FIRST_CONTACT = {
    True: "none seen yet: run make demo",
    False: "none seen yet: log IB Gateway in, then run robo reconcile",
}


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (status, doctor, serve):
        app.command()(verb)


def status(as_json: AsJson = False) -> None:
    """Show the account, the last session's orders, a halt, and the last alerts."""
    with exits(as_json):
        from tasks.books.status import read_status
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        settings = load_settings()
        with open_ledger(settings) as ledger:
            found = read_status(settings, ledger)
        if as_json:
            answer(found, True)
            return
        orders = ", ".join(f"{count} {state}" for state, count in found.parents.items()) or "none"
        shares = ", ".join(f"{s} {n:,}" for s, n in found.positions.items()) or "none"
        worth = f"{found.net_liquidation:,.2f} USD" if found.net_liquidation else "unknown"
        cash = f"{found.cash:,.2f} USD" if found.cash is not None else "unknown"
        lines = [
            f"mode          {found.mode}",
            f"account       {found.account or FIRST_CONTACT[settings.mode == 'simulated']}",
            f"trading       {_trading(found)}",
            *(f"halted        {halt}" for halt in found.halts),
            *(f"disabled      {one}" for one in found.disabled),
            f"at work       {found.session_at_work or 'no session'}",
            f"last session  {found.last_session or 'none'}; parent orders: {orders}",
            f"positions     {shares} (shares)",
            f"cash          {cash}",
            f"worth         {worth}"
            + (f" at {found.as_of:%Y-%m-%d %H:%M} UTC" if found.as_of else ""),
            *(
                f"alert         {a.at:%Y-%m-%d %H:%M} UTC {a.subject}: {a.text}"
                for a in found.alerts
            ),
        ]
        answer(found, False, "\n".join(lines))


def _trading(found: Status) -> str:
    if found.halt:
        return f"HALTED {found.halt}"
    if found.halts or found.disabled:
        return "not halted, but for what follows"
    return "not halted"


def doctor(as_json: AsJson = False) -> None:
    """Check Python, packages, settings, gateway, ledger, warehouse and registry."""
    with exits(as_json):
        from tasks.services.doctor import Health, check_up
        from tasks.settings import quiet_dependencies

        quiet_dependencies()
        findings = check_up()
        if as_json:
            from dataclasses import asdict

            answer({"findings": [asdict(finding) for finding in findings]}, True)
        else:
            for finding in findings:
                typer.echo(f"{finding.health.value:<14}{finding.subject:<16}{finding.seen}")
                if finding.mend:
                    typer.echo(f"{'':<30}-> {finding.mend}")
        health = {finding.health for finding in findings}
        if Health.BROKEN in health:
            raise typer.Exit(FAILED)
        if Health.HALTED in health:
            raise typer.Exit(HALTED)


def serve() -> None:
    """Run Prefect server and worker, MLflow UI and gateway together, until Ctrl-C."""
    with exits(False):
        from flows.serve import run_stack

        run_stack()
