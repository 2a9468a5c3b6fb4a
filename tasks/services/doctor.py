"""The check-up behind `robo doctor`: what is in order, what is not there yet, what is broken."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from models.domain.errors import RoboError
from tasks.services.findings import Finding, Health

if TYPE_CHECKING:
    from tasks.settings import Settings

PACKAGES = ("prefect", "duckdb", "pandas", "lightgbm", "mlflow", "ib_async", "great-expectations")
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)


def check_up() -> list[Finding]:
    """Run every check; none of them raises, starts or changes anything but first-use stores."""
    findings = [_python(), _packages()]
    settings, finding = _settings()
    findings.append(finding)
    if settings is None:
        return findings
    for subject, check, mend in _checks():
        findings.append(_answer(subject, check, mend, settings))
    if settings.mode == "live":
        mend = "judge every limit and setting, then approve it by ROBO_LIVE_CONFIG"
        findings.append(_answer("live approval", _live_approval, mend, settings))
    return findings


def _checks() -> tuple[tuple[str, Callable[[Settings], Finding], str], ...]:
    """Return each subject with its check, and how to mend what the check itself cannot tell."""
    from tasks.services.port_checks import check_control_port, check_mlflow_port, check_prefect_port

    return (
        ("state folder", _state_folder, "set ROBO_HOME to a folder that is yours"),
        ("risk limits", _limits, "correct the file; git checkout limits.toml has the shipped one"),
        ("ledger", _ledger, "restore var/<mode>/ledger.sqlite from a backup, then robo reconcile"),
        ("warehouse", _warehouse, "move var/<mode>/warehouse.duckdb away, then robo ingest"),
        ("model registry", _registry, "restore mlruns/ from a backup, or robo retrain"),
        ("gateway", _gateway, "log IB Gateway in, or robo gateway run; see ROBO_HOST, ROBO_PORT"),
        ("gateway control", check_control_port, "stop that program, or set ROBO_CONTROL_PORT"),
        ("Prefect API", check_prefect_port, "stop that program, or set ROBO_PREFECT_PORT"),
        ("MLflow UI", check_mlflow_port, "stop that program, or set ROBO_MLFLOW_PORT"),
    )


def _answer(
    subject: str, check: Callable[[Settings], Finding], mend: str, settings: Settings
) -> Finding:
    try:
        return check(settings)
    except RoboError as error:
        seen, advice = told(error)
        return Finding(subject, Health.BROKEN, seen, advice or mend)
    except Exception as error:  # a check-up that dies tells nothing
        text = f"{type(error).__name__}: {error}"
        return Finding(subject, Health.BROKEN, text, "report this with its traceback")


def told(error: RoboError) -> tuple[str, str]:
    """Split an error's text, "what is wrong; what to do", into the two; the second may be empty.

    What stands in parentheses belongs to the first.
    """
    text, depth = str(error), 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and text[place : place + 2] in ("; ", ". "):
            return text[:place], text[place + 2 :]
    return text, ""


def _python() -> Finding:
    version = sys.version_info[:3]
    seen = ".".join(map(str, version))
    if OLDEST_PYTHON <= version[:2] <= NEWEST_PYTHON:
        return Finding("Python", Health.OK, seen)
    return Finding("Python", Health.BROKEN, seen, "use Python 3.11, 3.12 or 3.13; rm -r .venv")


def _packages() -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        mend = "rm -r .venv, then make demo installs the lock again"
        return Finding("packages", Health.BROKEN, f"missing: {', '.join(missing)}", mend)
    return Finding("packages", Health.OK, ", ".join(found))


def _settings() -> tuple[Settings | None, Finding]:
    from tasks.settings import load_settings

    try:
        settings = load_settings()
    except RoboError as error:
        mend = "correct the environment or .env (.env.example lists everything)"
        return None, Finding("settings", Health.BROKEN, str(error), mend)
    return settings, Finding("settings", Health.OK, f"mode {settings.mode}, home {settings.home}")


def _state_folder(settings: Settings) -> Finding:
    folder = settings.state_dir
    while not folder.exists():
        folder = folder.parent
    if folder.is_dir() and os.access(folder, os.W_OK):
        return Finding("state folder", Health.OK, str(settings.state_dir))
    mend = "give yourself the right to write there, or set ROBO_HOME"
    return Finding("state folder", Health.BROKEN, f"{folder} is no writable folder", mend)


def _limits(settings: Settings) -> Finding:
    from tasks.limits import load_limits

    limits = load_limits(settings.limits_path)
    seen = (
        f"{settings.limits_path.name}: {limits.max_order_notional:,.0f} USD an order, "
        f"{limits.max_position_weight:.0%} of equity a position, "
        f"{limits.max_daily_loss:.1%} daily loss"
    )
    return Finding("risk limits", Health.OK, seen)


def _ledger(settings: Settings) -> Finding:
    from tasks.stores import open_ledger

    with open_ledger(settings) as ledger:
        problems = ledger.check()
        halts = ledger.halts.in_force()
        disabled = ledger.disablements.current()
        place = ledger.place
    if problems:
        return Finding("ledger", Health.BROKEN, "; ".join(problems), "run robo reconcile")
    if halts:
        seen = "trading is halted: " + "; ".join(halt.text for halt in halts)
        names = sorted({halt.symbol for halt in halts})
        ways = [f"robo resume{f' --symbol {name}' if name else ''} --reason ..." for name in names]
        return Finding("ledger", Health.HALTED, seen, f"{', '.join(ways)} lifts it")
    if disabled:
        seen = "disabled: " + "; ".join(f"{d.kind} {d.name} ({d.reason})" for d in disabled)
        mend = "robo limits enable NAME --reason ... once you know why"
        return Finding("ledger", Health.HALTED, seen, mend)
    return Finding("ledger", Health.OK, place)


def _warehouse(settings: Settings) -> Finding:
    from tasks.stores import open_warehouse

    coverage = open_warehouse(settings).bars.coverage()
    if coverage.empty:
        return Finding("warehouse", Health.ABSENT, "no bars", "run robo ingest, or make demo")
    seen = (
        f"{int(coverage['count'].sum()):,} bars of {len(coverage)} symbols, "
        f"{coverage['first'].min()} to {coverage['last'].max()}"
    )
    return Finding("warehouse", Health.OK, seen)


def _registry(settings: Settings) -> Finding:
    from tasks.learning.champion import load_champion
    from tasks.stores import open_ledger
    from tasks.tracking import open_tracker

    subject, mend = "model registry", "restore mlruns/ from a backup, or run robo retrain"
    try:
        ledger = open_ledger(settings)
    except RoboError:
        why = "the ledger, which holds the hashes of its models, cannot be read"
        return Finding(subject, Health.UNCHECKED, why, "mend the ledger first (see above)")
    with ledger:
        tracker = open_tracker(settings)
        promoted = ledger.models.newest(tracker.model_name)
        known = promoted and f"{promoted.model} {promoted.version}, promoted {promoted.at:%Y-%m-%d}"
        if not (settings.mlflow_dir / "mlflow.db").exists():
            if promoted is None:
                return Finding(subject, Health.ABSENT, "no model yet", "run robo retrain")
            gone = f"{settings.mlflow_dir / 'mlflow.db'} is gone; the ledger knows {known}"
            return Finding(subject, Health.BROKEN, gone, mend)
        if tracker.champion() is None:
            if promoted is None:
                return Finding(subject, Health.ABSENT, "no champion", "run robo retrain")
            gone = f"no champion is registered; the ledger knows {known}"
            return Finding(subject, Health.BROKEN, gone, mend)
        model = load_champion(tracker, ledger)
    seen = f"champion {model.version.label}, {len(model.features)} features, its hashes agree"
    return Finding(subject, Health.OK, seen)


def _gateway(settings: Settings) -> Finding:
    from tasks.processes import is_listening

    if not is_listening(settings.host, settings.port):
        start = "robo gateway run" if settings.mode == "simulated" else "start IB Gateway"
        seen = f"nothing listens on {settings.host}:{settings.port}"
        return Finding("gateway", Health.ABSENT, seen, f"{start} (make demo starts its own)")
    from tasks.broker.ibkr import OrderConnection
    from tasks.broker.roles import Role
    from tasks.leases.client_ids import leased_address
    from tasks.settings import mask_account

    async def account() -> str:
        with leased_address(settings, Role.SNAPSHOT) as where:
            link = await OrderConnection.open(where, settings.broker_timeout)
            try:
                return link.account
            finally:
                await link.close()

    found = asyncio.run(account())
    settings.require_tradable(found)
    return Finding("gateway", Health.OK, f"account {mask_account(found)} answers")


def _live_approval(settings: Settings) -> Finding:
    from tasks.live_config import live_fingerprint

    present = live_fingerprint(settings)
    if settings.live_config == present:
        return Finding("live approval", Health.OK, f"{present}, as in ROBO_LIVE_CONFIG")
    mend = f"judge every limit and setting; then, if all is meant, ROBO_LIVE_CONFIG={present}"
    return Finding("live approval", Health.BROKEN, "this configuration is not approved", mend)
