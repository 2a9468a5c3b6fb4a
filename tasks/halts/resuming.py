"""Lifting a halt: by a person, for a reason, after a reconciliation that passed just now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from models.domain.errors import HaltTrading, InvalidInput, RoboError
from models.domain.orders import ParentState
from tasks.books.account_snapshot import read_account
from tasks.books.reconciliation import differences_of, reconcile
from tasks.leases.session_lease import SessionLease
from tasks.limits import load_limits
from tasks.program_version import working_version
from tasks.session.recovery import adopt
from tasks.session.settled_desk import settled_desk

if TYPE_CHECKING:
    from tasks.crash_points import Boundary
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger

NOTHING_HELD = "nothing was halted or paused"


@dataclass(frozen=True, slots=True)
class ResumeOutcome:
    """What a resume did: the halts lifted, the parents woken, the version let in, on what evidence.

    `still_halted` are the halts that stay in force.
    """

    resumed: bool
    lifted: tuple[str, ...]
    woken: tuple[str, ...]
    let_in: str
    still_halted: tuple[str, ...]
    reconciliation: str

    @property
    def text(self) -> str:
        """Say in lines what may go on and what may not."""
        lines = [f"resumed: {self.reconciliation}" if self.resumed else self._why_not]
        lines += [f"lifted the halt of {halt}" for halt in self.lifted]
        if self.woken:
            lines.append(f"woke {len(self.woken)} parent orders: {', '.join(self.woken)}")
        if self.let_in:
            lines.append(f"may go on with what others began: {self.let_in}")
        lines += [f"STILL HALTED: {halt}" for halt in self.still_halted]
        return "\n".join(lines)

    @property
    def _why_not(self) -> str:
        return "nothing was lifted" if self.still_halted else NOTHING_HELD


def resume_trading(
    settings: Settings,
    ledger: OrderLedger,
    reason: str,
    by: str,
    symbol: str = "",
    *,
    boundary: Boundary | None = None,
) -> ResumeOutcome:
    """Reconcile with the broker now, and only when that passes lift the halts and wake parents.

    With `symbol`, only the halts of that one; without, all but those of single symbols; `boundary`
    is for crash tests. Raises InvalidInput without a reason, HaltTrading that says why it is still
    not safe, or that another halt has come meanwhile.
    """
    if not reason.strip():
        raise InvalidInput("a resume needs a reason: say in --reason why it is safe again")
    halts = ledger.halts.in_force()
    seen = tuple(halt for halt in halts if halt.symbol == symbol)
    paused = () if symbol else _paused(ledger)
    if not (seen or paused or (not symbol and _is_other_version(ledger, settings))):
        still = tuple(halt.text for halt in halts)
        return ResumeOutcome(False, (), (), "", still, "not needed: nothing was halted or paused")
    if symbol and not any(not halt.symbol for halt in halts):
        passed = _symbol_agrees(settings, ledger, symbol)
    else:
        passed = _reconciled(settings, ledger, boundary)
    now = datetime.now(UTC)
    with ledger.transaction():
        lifted = ledger.halts.resume(reason, by, now, symbol=symbol, seen=seen)
        woken = _wake(ledger, paused, f"resumed by {by}: {reason}")
        let_in = "" if symbol else _let_in(ledger, settings, f"{by}: {reason}", now)
    return ResumeOutcome(
        bool(lifted or let_in or woken),
        tuple(halt.text for halt in lifted),
        woken,
        let_in,
        tuple(halt.text for halt in ledger.halts.in_force()),
        passed,
    )


def _is_other_version(ledger: OrderLedger, settings: Settings) -> bool:
    session = ledger.parents.latest_session()
    noted = ledger.versions.of_session(session) if session else ()
    return bool(noted) and working_version(load_limits(settings.limits_path)) not in noted


def _let_in(ledger: OrderLedger, settings: Settings, accepted_by: str, now: datetime) -> str:
    """Let this program and these limits go on with orders that others began, and name them."""
    session = ledger.parents.latest_session()
    if session is None or not _is_other_version(ledger, settings):
        return ""
    version = working_version(load_limits(settings.limits_path))
    ledger.versions.note(session, version, now, accepted_by=accepted_by)
    return str(version)


def _paused(ledger: OrderLedger) -> tuple[str, ...]:
    session = ledger.parents.latest_session()
    records = ledger.parents.of_session(session) if session else ()
    return tuple(r.order.parent_id for r in records if r.state is ParentState.PAUSED)


def _wake(ledger: OrderLedger, seen: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Wake the parents that were paused when the resume was given; one paused since waits on."""
    return tuple(
        parent_id
        for parent_id in seen
        if ledger.parents.get(parent_id).state is ParentState.PAUSED
        and ledger.parents.set_state(parent_id, ParentState.WORKING, text)
    )


def _reconciled(settings: Settings, ledger: OrderLedger, boundary: Boundary | None) -> str:
    """Settle and compare everything, under the lease; return the summary, or raise HaltTrading."""
    lease = SessionLease.take(ledger, settings, busy=HaltTrading)
    try:
        found = asyncio.run(_settle(settings, ledger, lease, boundary))
    except RoboError as error:
        raise HaltTrading(f"not resumed, no reconciliation passed: {error}") from error
    finally:
        lease.release()
    return found


async def _settle(
    settings: Settings, ledger: OrderLedger, lease: SessionLease, boundary: Boundary | None
) -> str:
    limits = load_limits(settings.limits_path)
    async with settled_desk(
        settings,
        ledger,
        lease,
        limits,
        require_account=settings.require_tradable,
        boundary=boundary,
    ) as settled:
        evidence = await settled.orders.collect_evidence()
        settled.desk.pump(settled.clock.now())
        found = reconcile(ledger, evidence)
    if not found.agrees:
        raise HaltTrading(f"{found.summary}; `robo reconcile` says what settles each, then resume")
    return found.summary


def _symbol_agrees(settings: Settings, ledger: OrderLedger, symbol: str) -> str:
    """Compare one symbol's shares and orders, beside a session that may be at work with others."""
    try:
        evidence = read_account(settings)
    except RoboError as error:
        raise HaltTrading(f"not resumed, the account could not be read: {error}") from error
    evidence = adopt(ledger, evidence)
    wrong = differences_of(ledger, evidence, symbol)
    if wrong:
        listed = "; ".join(f"{one.text} ({one.proposal})" for one in wrong)
        raise HaltTrading(f"not resumed, {symbol} differs: {listed}; settle it, then resume")
    held = ledger.executions.positions(evidence.account).get(symbol, 0)
    return f"{symbol}: {held} shares and no open question in the ledger and at the broker"
