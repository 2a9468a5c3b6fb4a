"""The verbs on risk limits: which are in force, who changed them, and what is disabled."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_exit import answer, exits
from flows.cli_flows import AsJson

if TYPE_CHECKING:
    from warehouse.ledger.limits_versions import LimitsVersion

Name = Annotated[str, typer.Argument(help="A symbol, or a strategy.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger.")]
Version = Annotated[int | None, typer.Option(min=1, help="A version; default: the file.")]

app = typer.Typer(no_args_is_help=True, help="The risk limits: show, history, diff, enable.")


def register(parent: typer.Typer) -> None:
    """Add the verbs to the command line."""
    parent.add_typer(app, name="limits")


@app.command()
def show(version: Version = None, as_json: AsJson = False) -> None:
    """Show every limit of the file, or of a version in the ledger, and what is disabled."""
    with exits(as_json):
        from tasks.limits import canonical_text, content_hash, load_limits
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        settings = load_settings()
        with open_ledger(settings) as ledger:
            disabled = ledger.disablements.current()
            latest = ledger.limits.latest()
            chosen = None if version is None else ledger.limits.get(version)
        if chosen is None:
            limits = load_limits(settings.limits_path)
            text, found = canonical_text(limits), content_hash(limits)
            known = latest is not None and latest.content_hash == found
            head = f"{settings.limits_path}: " + (
                _headline(latest)
                if latest is not None and known
                else "not used yet; the next plan or session gives it a version"
            )
        else:
            text, found, head = chosen.content, chosen.content_hash, _headline(chosen)
        lines = [head, f"sha256 {found}", "", text.rstrip(), ""]
        lines += [f"disabled {one.kind} {one.name}: {one.reason}" for one in disabled]
        facts = {
            "source": head,
            "sha256": found,
            "limits": dict(line.split(" = ", 1) for line in text.splitlines()),
            "disabled": [{"kind": d.kind, "name": d.name, "reason": d.reason} for d in disabled],
        }
        answer(facts, as_json, "\n".join(lines).rstrip())


@app.command()
def history(as_json: AsJson = False) -> None:
    """List every version of the limits: when, who, and what changed."""
    with exits(as_json):
        from tasks.limits import changes
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        with open_ledger(load_settings()) as ledger:
            versions = ledger.limits.history()
        lines: list[str] = []
        rows: list[dict[str, object]] = []
        before = None
        for one in versions:
            differing = [] if before is None else changes(before.content, one.content)
            what = ", ".join(f"{name} {old} -> {new}" for name, old, new in differing)
            lines.append(f"{_headline(one)}: {what or 'the first version'}")
            rows.append(
                {
                    "version": one.version,
                    "sha256": one.content_hash,
                    "by": one.by,
                    "at": one.at,
                    "changes": [{"limit": n, "before": o, "after": a} for n, o, a in differing],
                }
            )
            before = one
        nothing = "no version yet: the first `robo rebalance` or `robo execute` records one"
        answer({"versions": rows}, as_json, "\n".join(lines) or nothing)


@app.command()
def diff(
    old: Annotated[int | None, typer.Argument(min=1, help="Default: the latest version.")] = None,
    new: Annotated[int | None, typer.Argument(min=1, help="Default: the file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which limits differ between two versions, or a version and the file."""
    with exits(as_json):
        from models.domain.errors import InvalidInput
        from tasks.limits import canonical_text, changes, load_limits
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        settings = load_settings()
        with open_ledger(settings) as ledger:
            first = ledger.limits.latest() if old is None else ledger.limits.get(old)
            second = None if new is None else ledger.limits.get(new)
        if first is None:
            raise InvalidInput("the ledger has no limits version yet; run robo rebalance first")
        after = canonical_text(load_limits(settings.limits_path)) if not second else second.content
        name = "the file" if second is None else f"version {second.version}"
        differing = changes(first.content, after)
        lines = [f"{limit}: {before} -> {now}" for limit, before, now in differing]
        facts = {"changes": [{"limit": n, "before": b, "after": a} for n, b, a in differing]}
        same = f"version {first.version} and {name} set the same limits"
        answer(facts, as_json, "\n".join(lines) or same)


@app.command()
def enable(name: Name, reason: Why, as_json: AsJson = False) -> None:
    """Let a disabled symbol or strategy trade again, once you know why it was disabled."""
    with exits(as_json):
        from tasks.settings import load_settings
        from tasks.stores import open_ledger

        with open_ledger(load_settings()) as ledger:
            disabled = {one.name for one in ledger.disablements.current()}
            name = name if name in disabled else name.upper()
            ledger.disablements.enable(name, reason, getpass.getuser(), datetime.now(UTC))
        answer({"enabled": name}, as_json, f"{name} may trade again: {reason}")


@app.command()
def disable(
    name: Name,
    reason: Why,
    strategy: Annotated[bool, typer.Option(help="The name is of a strategy.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a symbol (or a strategy) trade no more until it is enabled again."""
    with exits(as_json):
        from models.domain.sessions import exchange_date
        from tasks.settings import load_settings
        from tasks.stores import open_ledger
        from tasks.symbols import require_known_symbol

        settings, now = load_settings(), datetime.now(UTC)
        if not strategy:
            name = require_known_symbol(settings, name, "disable")
        with open_ledger(settings) as ledger:
            done = ledger.disablements.disable(
                "strategy" if strategy else "symbol",
                name,
                reason=reason,
                by=getpass.getuser(),
                at=now,
                session=exchange_date(now),
            )
        text = f"{name} is disabled: {reason}" if done else f"{name} was disabled already"
        answer({"disabled": name, "changed": done}, as_json, text)


def _headline(version: LimitsVersion) -> str:
    at = f"{version.at:%Y-%m-%d %H:%M} UTC"
    return f"version {version.version}, {at}, by {version.by} from {version.source}"
