"""The state of everything in one look, from the ledger alone (it answers with no gateway up)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tasks.alerts import Alert, recent_alerts
from tasks.leases.session_lease import is_holder_running
from tasks.ledger_mode import SESSION_LEASE
from tasks.machine import machine
from tasks.masking import mask_account

if TYPE_CHECKING:
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.leases import Lease


@dataclass(frozen=True, slots=True)
class Status:
    """What the ledger knows; cash and worth in USD, positions in shares, times UTC.

    `halt` is the first halt of everything, `halts` are all in force, those of one symbol included.
    """

    mode: str
    account: str
    halt: str
    halts: tuple[str, ...]
    disabled: tuple[str, ...]
    session_at_work: str
    last_session: date | None
    parents: dict[str, int]
    positions: dict[str, int]
    cash: Decimal | None
    net_liquidation: Decimal | None
    as_of: datetime | None
    alerts: tuple[Alert, ...]


def shown_account(settings: Settings, account: str) -> str:
    """Return an account id as it may be shown: masked unless it is a simulated one."""
    return account if settings.mode == "simulated" else mask_account(account)


def read_status(settings: Settings, ledger: OrderLedger) -> Status:
    """Return the present state of the mode that the settings name."""
    account = ledger.accounts.latest_account()
    halt = ledger.halts.current()
    disabled = ledger.disablements.current()
    held = ledger.leases.held(datetime.now(UTC))
    session = ledger.parents.latest_session()
    parents = ledger.parents.of_session(session) if session else ()
    snapshots = ledger.accounts.snapshots(account) if account else ()
    newest = snapshots[-1] if snapshots else None
    return Status(
        mode=settings.mode,
        account=shown_account(settings, account or ""),
        halt=f"by {halt.by} at {halt.at:%Y-%m-%d %H:%M} UTC: {halt.reason}" if halt else "",
        halts=tuple(one.text for one in ledger.halts.in_force()),
        disabled=tuple(
            f"{one.kind} {one.name}, by {one.by} at {one.at:%Y-%m-%d %H:%M} UTC: {one.reason}"
            for one in disabled
        ),
        session_at_work=", ".join(session_text(lease) for lease in held if _is_session(lease)),
        last_session=session,
        parents=dict(Counter(record.state.value for record in parents)),
        positions=ledger.executions.positions(account) if account else {},
        cash=ledger.executions.cash(account).amount if account else None,
        net_liquidation=newest.net_liquidation if newest else None,
        as_of=newest.at if newest else None,
        alerts=tuple(recent_alerts(settings.state_dir / "alerts.jsonl")),
    )


def session_text(lease: Lease) -> str:
    """Name a session's lease with its process; one of this machine that is gone is called lost."""
    text = f"{lease.name} (pid {lease.pid})"
    if lease.host != machine() or is_holder_running(lease):
        return text
    return f"{text} is LOST: its process is gone; `robo execute` goes on"


def _is_session(lease: Lease) -> bool:
    return lease.name.startswith(SESSION_LEASE)
