"""An order desk outside a session: connected, checked, and settled with what the broker shows.

For what a person asks for while no session is at work: flatten, resume, the watchdog.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.domain.sessions import TradingSession, exchange_date, next_session, session_on
from tasks.broker.clock import GatewayClock, WallClock, open_clock
from tasks.broker.roles import Role, address
from tasks.crash_points import Boundary, boundary_of
from tasks.session.account import UNKNOWN_EQUITY, AccountBook
from tasks.session.exit_watch import settle_vanished
from tasks.session.exits import ExitKeeper
from tasks.session.orders import OrderDesk, log_alert
from tasks.session.recovery import adopt, note_schedules, recover, restore_session
from tasks.session.session_day import require_link

if TYPE_CHECKING:
    from models.risk.limits import RiskLimits
    from tasks.broker.ibkr import OrderConnection
    from tasks.broker.market_data import DataConnection
    from tasks.broker.protocol import Evidence
    from tasks.leases.session_lease import SessionLease
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger


@dataclass(slots=True)
class SettledDesk:
    """The desk and its connections; `day` is the present session, or the next when there is none.

    `evidence` is what the last reconciliation read.
    """

    desk: OrderDesk
    orders: OrderConnection
    data: DataConnection
    clock: WallClock | GatewayClock
    day: TradingSession
    lease: SessionLease
    evidence: Evidence

    async def read_everything(self) -> None:
        """Return once all that the gateway had sent on both connections has been taken."""
        await self.orders.flush()
        await self.data.flush()
        self.desk.pump(self.clock.now())
        self.desk.lease = self.lease.renew()


@asynccontextmanager
async def settled_desk(
    settings: Settings,
    ledger: OrderLedger,
    lease: SessionLease,
    limits: RiskLimits,
    *,
    require_account: Callable[[str], None],
    alert: Callable[[str, str], None] = log_alert,
    boundary: Boundary | None = None,
) -> AsyncGenerator[SettledDesk, None]:
    """Connect as the session does, and bring ledger and engine to what the broker shows.

    `require_account` refuses the account before anything else; `boundary` is called at each of the
    order path's, as in a session. Raises GatewayUnreachable without a gateway, HaltTrading when
    positions differ or the account is not one of the mode.
    """
    from tasks.broker.ibkr import OrderConnection
    from tasks.broker.market_data import DataConnection

    boundary = boundary or boundary_of(settings.crash_at)
    ledger.watch_commits(boundary)
    lease.keep_renewed()
    clock = await open_clock(settings.clock, settings.host, settings.control_port, "control")
    links: list[OrderConnection | DataConnection] = []
    try:
        timeout = settings.broker_timeout
        orders = await OrderConnection.open(address(settings, Role.ORDERS), timeout)
        links.append(orders)
        require_account(orders.account)
        data = await DataConnection.open(address(settings, Role.DATA), timeout)
        links.append(data)
        data.stamp_quotes_with(clock.now)
        today = session_on(exchange_date(clock.now()))
        day = today or next_session(exchange_date(clock.now()))
        desk = await _desk(
            ledger,
            settings,
            orders=orders,
            data=data,
            limits=limits,
            day=day,
            lease=lease,
            clock=clock,
            alert=alert,
            boundary=boundary,
        )
        evidence = await recover(desk, settings.quiet_period)
        await settle_vanished(desk, evidence, settings.quiet_period)
        yield SettledDesk(desk, orders, data, clock, day, lease, evidence)
    finally:
        for link in links:
            with suppress(OSError):
                await link.close()
        await clock.close()


async def _desk(
    ledger: OrderLedger,
    settings: Settings,
    *,
    orders: OrderConnection,
    data: DataConnection,
    limits: RiskLimits,
    day: TradingSession,
    lease: SessionLease,
    clock: WallClock | GatewayClock,
    alert: Callable[[str, str], None],
    boundary: Boundary,
) -> OrderDesk:
    latest = ledger.parents.latest_session() or day.date
    executions = restore_session(ledger, latest, settings)
    if latest != day.date:
        executions |= restore_session(ledger, day.date, settings)
    note_schedules(ledger, executions, clock.now())
    evidence = await orders.collect_evidence()
    told = orders.pending_events()
    require_link(ledger, evidence.account, told)
    evidence = adopt(ledger, evidence)
    book = AccountBook(evidence.account, ledger, UNKNOWN_EQUITY, UNKNOWN_EQUITY)
    book.refresh()
    desk = OrderDesk(
        ledger,
        orders,
        book,
        limits,
        day,
        data.quote,
        lease.held,
        executions,
        alert=alert,
        boundary=boundary,
    )
    desk.remember_sends(clock.now())
    ExitKeeper(desk).load()  # what a session left of a stop in the middle is settled here as well
    for event in told:
        desk.take(event, clock.now())
    return desk
