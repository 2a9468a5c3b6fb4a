"""Lifting a halt: by a person, for a reason, after a reconciliation that passed just now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from models.domain.errors import HaltTrading, InvalidInput, RoboError
from models.domain.orders import ParentState
from models.execution.differences import position_differences
from tasks.account_snapshot import read_account
from tasks.limits import load_limits
from tasks.program_version import working_version
from tasks.reconciliation import reconcile
from tasks.recovery import adopt
from tasks.session_lease import SessionLease
from tasks.settled_desk import settled_desk

if TYPE_CHECKING:
    from datetime import date

    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger


@dataclass(frozen=True, slots=True)
class ResumeOutcome:
    """What a resume did: whether anything may go on that could not, and on what evidence."""

    resumed: bool
    woken: int
    reconciliation: str


def resume_trading(
    settings: Settings, ledger: OrderLedger, reason: str, by: str, symbol: str = ""
) -> ResumeOutcome:
    """Reconcile with the broker now, and only when that passes lift the halts and wake parents.

    With `symbol`, only the halt of that one. Raises InvalidInput without a reason, HaltTrading
    that says why it is still not safe.
    """
    if not reason.strip():
        raise InvalidInput("a resume needs a reason: say in --reason why it is safe again")
    if not _is_anything_held(ledger, settings, symbol):
        return ResumeOutcome(False, 0, "not needed: nothing was halted or paused")
    if symbol and not any(not halt.symbol for halt in ledger.halts.in_force()):
        passed = _symbol_agrees(settings, ledger, symbol)
    else:
        passed = _reconciled(settings, ledger)
    now = datetime.now(UTC)
    lifted = ledger.halts.resume(reason, by, now, symbol=symbol)
    woken = 0 if symbol else _wake(ledger, reason, by)
    let_in = not symbol and _is_other_version(ledger, settings)
    session = ledger.parents.latest_session()
    if let_in and session is not None:
        version = working_version(load_limits(settings.limits_path))
        ledger.versions.note(session, version, now, accepted_by=f"{by}: {reason}")
    return ResumeOutcome(lifted or let_in or bool(woken), woken, passed)


def _is_anything_held(ledger: OrderLedger, settings: Settings, symbol: str) -> bool:
    halts = ledger.halts.in_force()
    if symbol:
        return any(halt.symbol == symbol for halt in halts)
    session = ledger.parents.latest_session()
    return bool(halts) or bool(_paused(ledger, session)) or _is_other_version(ledger, settings)


def _is_other_version(ledger: OrderLedger, settings: Settings) -> bool:
    session = ledger.parents.latest_session()
    noted = ledger.versions.of_session(session) if session else ()
    return bool(noted) and working_version(load_limits(settings.limits_path)) not in noted


def _paused(ledger: OrderLedger, session: date | None) -> list[str]:
    records = ledger.parents.of_session(session) if session else ()
    return [r.order.parent_id for r in records if r.state is ParentState.PAUSED]


def _wake(ledger: OrderLedger, reason: str, by: str) -> int:
    text = f"resumed by {by}: {reason}"
    paused = _paused(ledger, ledger.parents.latest_session())
    return sum(ledger.parents.set_state(one, ParentState.WORKING, text) for one in paused)


def _reconciled(settings: Settings, ledger: OrderLedger) -> str:
    """Settle and compare everything, under the lease; return the summary, or raise HaltTrading."""
    lease = SessionLease.take(ledger, settings, busy=HaltTrading)
    try:
        found = asyncio.run(_settle(settings, ledger, lease))
    except RoboError as error:
        raise HaltTrading(f"not resumed, no reconciliation passed: {error}") from error
    finally:
        lease.release()
    return found


async def _settle(settings: Settings, ledger: OrderLedger, lease: SessionLease) -> str:
    limits = load_limits(settings.limits_path)
    async with settled_desk(
        settings, ledger, lease, limits, require_account=settings.require_tradable
    ) as settled:
        evidence = await settled.orders.collect_evidence()
        settled.desk.pump(settled.clock.now())
        found = reconcile(ledger, evidence)
    if not found.agrees:
        raise HaltTrading(f"{found.summary}; settle them, then resume")
    return found.summary


def _symbol_agrees(settings: Settings, ledger: OrderLedger, symbol: str) -> str:
    """Compare one symbol's position, beside a session that may be at work with the others."""
    try:
        evidence = read_account(settings)
    except RoboError as error:
        raise HaltTrading(f"not resumed, the account could not be read: {error}") from error
    adopt(ledger, evidence)
    ours = ledger.executions.positions(evidence.account)
    wrong = [d for d in position_differences(ours, evidence.positions) if d.symbol == symbol]
    if wrong:
        raise HaltTrading(f"not resumed: {wrong[0].text}; reconcile, then resume")
    return f"{symbol}: {ours.get(symbol, 0)} shares in the ledger and at the broker"
