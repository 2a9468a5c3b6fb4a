"""The execution session: one asyncio loop that works a day's parent orders from open to close.

It decides only at the moments of its schedule, in market time, after everything the gateway had
sent before has been read; between them it watches for halts, for a stop request and for a gateway
that has gone silent. Nothing in it skips a delay: an accelerated gateway makes the day short.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from threading import Event as ThreadEvent
from typing import TYPE_CHECKING

from models.domain.errors import AutomaticHalt, HaltTrading, RetryLater
from models.execution.events import SessionClosed
from models.execution.planning import asking_times
from tasks.alerts import Alert, raise_alert
from tasks.books.execution_report import note_mids
from tasks.broker.protocol import GatewayNotReady
from tasks.crash_points import Boundary, boundary_of
from tasks.leases.session_lease import SessionLease
from tasks.program_version import require_version, working_version
from tasks.session.account import AccountBook
from tasks.session.broker_notices import look_up_doubted
from tasks.session.exit_gaps import exits_out_of_step
from tasks.session.exit_watch import ExitWatch, settle_vanished
from tasks.session.exits import ExitKeeper
from tasks.session.guard import SessionGuard, keep_halt
from tasks.session.halt_ending import give_back
from tasks.session.leaving import leave_working
from tasks.session.orders import OrderDesk
from tasks.session.recovery import (
    adopt,
    ended_shares,
    has_untraced,
    note_schedules,
    recover,
    require_own_client,
    restore_session,
    tell_held,
    unshown_exits,
)
from tasks.session.session_day import (
    open_book,
    require_link,
    require_work,
    session_to_work,
    stream_prices,
)
from tasks.session.session_links import SessionLinks
from tasks.session.session_result import SessionProgress, SessionResult, progress_of
from tasks.session.stopping import reason_to_stop
from tasks.session.symbol_halts import SymbolHalts

if TYPE_CHECKING:
    from models.domain.sessions import TradingSession
    from models.risk.limits import RiskLimits
    from tasks.broker.clock import GatewayClock, WallClock
    from tasks.limits import LimitsWatch
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger

logger = logging.getLogger("robo.session")

LEAD = timedelta(seconds=1)  # quotes that arrive in this last stretch are at most that old
SETTLE = timedelta(seconds=2)  # market time given to an immediate-or-cancel child to end
LAST_EVIDENCE = timedelta(seconds=10)  # and to the last commissions
RECONNECT_DEADLINE = 180.0  # beyond the limit of a lost heartbeat, which halts
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.1, 5.0  # wall seconds between two attempts to connect
WATCH_EVERY = 1.0
CROWDED_WAIT = 0.25  # wall seconds until room among the messages of a second is looked for again


@dataclass(slots=True)
class ExecutionSession:
    """Work the parents of `session` until each has ended; safe to run again at any moment."""

    settings: Settings
    ledger: OrderLedger
    limits: RiskLimits
    session: date | None
    longest_wait: float
    on_progress: Callable[[SessionProgress], None]
    stop: ThreadEvent
    crash_plan: Boundary | None = None
    limits_watch: LimitsWatch | None = None
    _links: SessionLinks = field(init=False)
    _lease: SessionLease = field(init=False)
    _boundary: Boundary = field(init=False)
    _back_off: float = FIRST_BACK_OFF
    _guard: SessionGuard = field(init=False)
    _exits: ExitKeeper = field(init=False)
    _watcher: ExitWatch = field(init=False)
    _symbol_halts: SymbolHalts = field(init=False, default_factory=SymbolHalts)
    _may_work: bool = field(init=False, default=False)  # after a halt, until `_watch` ended it all
    _is_left: bool = field(init=False, default=False)  # after `_watch` asked for the end of it all
    _ended: tuple[int, int] = field(init=False, default=(0, 0))  # shares of parents over before

    async def run(self) -> SessionResult:
        """Run to the end; raise SkipToday, RetryLater, HaltTrading or InvalidInput on the way."""
        self._links = SessionLinks(self.settings, self._alert)
        self._boundary = self.crash_plan or boundary_of(self.settings.crash_at)
        self.ledger.watch_commits(self._boundary)
        self._lease = SessionLease.take(self.ledger, self.settings)
        self._lease.keep_renewed()
        self._guard = SessionGuard(self.limits)
        must_end = False
        try:
            await self._links.open_clock()
            day = session_to_work(self.ledger, self.session, self._clock.now())
            executions = restore_session(self.ledger, day.date, self.settings)
            if not exits_out_of_step(self.ledger, self.limits, day, self._clock.now()):
                require_work(self.ledger, day, executions, self._clock, self.longest_wait)
            require_version(self.ledger, day.date, working_version(self.limits), self._clock.now())
            return await self._run_day(day)
        except RetryLater:
            must_end = self._is_left  # a stop whose cancels were not all answered
            raise
        except HaltTrading as halt:
            must_end = self._may_work
            if isinstance(halt, AutomaticHalt):
                self._keep_halt(halt)
            raise
        finally:
            await self._links.close()
            await give_back(self.settings, self._lease, self.stop, self._alert, must_end=must_end)

    async def _run_day(self, day: TradingSession) -> SessionResult:
        give_up_at = None
        resumed = False
        while True:
            desk = None
            try:
                desk = await self._start(day)
                resumed = resumed or any(e.children for e in desk.executions.values())
                await self._work(day, desk)
                return SessionResult(
                    day.date, desk.book.account, self._clock.now(), resumed, dict(desk.denied)
                )
            except GatewayNotReady as error:
                now = datetime.now(UTC)
                if desk is not None:
                    self._guard.disconnected(now)
                give_up_at = give_up_at or now + timedelta(seconds=RECONNECT_DEADLINE)
                if desk is not None:
                    self._back_off = FIRST_BACK_OFF
                    desk.lose_connection(self._clock.now())
                    give_up_at = now + timedelta(seconds=RECONNECT_DEADLINE)
                await self._await_gateway(give_up_at, error)

    async def _start(self, day: TradingSession) -> OrderDesk:
        """Connect, check the account, and bring ledger and engine to what the broker shows."""
        settings = self.settings
        orders, data = await self._links.connect()
        self._may_work = True  # not before the account is known to be one that may be traded
        executions = restore_session(self.ledger, day.date, self.settings)
        self._ended = ended_shares(self.ledger, day.date, executions)
        note_schedules(self.ledger, executions, self._clock.now())
        evidence = await orders.collect_evidence()
        told = orders.pending_events()
        require_link(self.ledger, evidence.account, told)
        evidence = adopt(self.ledger, evidence)
        require_own_client(self.ledger, evidence, orders.client_id)
        book = AccountBook(evidence.account, self.ledger)
        desk = OrderDesk(
            self.ledger,
            orders,
            book,
            self.limits,
            day,
            data.quote,
            self._lease.held,
            executions,
            alert=self._alert,
            boundary=self._boundary,
            breaker=self._guard,
            limits_version=self.limits_watch.version if self.limits_watch else None,
            shortable=data.shortable,
        )
        tell_held(desk)
        self._guard.connected()
        desk.remember_sends(self._clock.now())
        for event in told:
            desk.take(event, self._clock.now())
        self._exits = ExitKeeper(desk)
        self._exits.load()
        self._watcher = ExitWatch(self._exits)
        symbols = {e.parent.symbol for e in desk.everything.values()} | evidence.positions.keys()
        known = {e.parent.symbol for e in desk.everything.values()} | desk.guard.facts.keys()
        await orders.qualify(sorted(symbols & known))
        settle = await recover(desk, settings.quiet_period)
        open_book(self.ledger, day, book, settle)
        await settle_vanished(desk, settle, settings.quiet_period)
        await stream_prices(data, symbols & known, symbols - known, self.limits, self._alert)
        return desk

    async def _work(self, day: TradingSession, desk: OrderDesk) -> None:
        """Go through the schedule: at each moment read everything, then let every parent act."""
        schedule = sorted({due for e in desk.executions.values() for due in asking_times(e)})
        last = max((e.curve.end for e in desk.executions.values()), default=day.close)
        await self._protect(desk)
        for number, due in enumerate(schedule, 1):
            upcoming = schedule[number] if number < len(schedule) else last
            if upcoming <= self._clock.now() or desk.is_done:
                continue  # its slice is over: later ones catch up
            await self._advance(due - LEAD, desk)
            await self._advance(due, desk)
            note_mids(self.ledger, desk, "arrival", self._clock.now())
            denied = await self._slice(desk)
            # What never arrived goes again while its slice lasts; so do buys that waited for sells.
            if await self._settle(desk) or denied:
                await self._slice(desk)
                await self._settle(desk)
            await self._protect(desk)
            self._report(desk, f"step {number} of {len(schedule)}")
        if not desk.is_done:
            await self._advance(min(last, day.close), desk)
            desk.slice_due(max(self._clock.now(), last))
            await self._settle(desk)
        if not desk.is_done and self._clock.now() >= day.close:
            desk.feed_all(SessionClosed(self._clock.now()), self._clock.now())
        await self._finish(day, desk)

    async def _slice(self, desk: OrderDesk) -> bool:
        """Let every parent act; say whether a check denied a child.

        What has no room among the messages of this second goes in the next ones.
        """
        denied = desk.slice_due(self._clock.now())
        while desk.is_crowded:
            await asyncio.sleep(CROWDED_WAIT)
            await self._watch(desk)
            await self._read_everything(desk)
            denied |= desk.slice_due(self._clock.now())
        return denied

    async def _finish(self, day: TradingSession, desk: OrderDesk) -> None:
        """Wait for the last commissions, then keep what the broker says of the account."""
        await self._protect(desk)
        await self._advance(self._clock.now() + LAST_EVIDENCE, desk)
        note_mids(self.ledger, desk, "end", self._clock.now())
        evidence = await recover(desk, self.settings.quiet_period)
        if desk.must_reconcile:  # the link came back during that
            evidence = await recover(desk, self.settings.quiet_period)
        if desk.is_blind:
            raise RetryLater(
                "the gateway has lost Interactive Brokers, so what became of the last orders is "
                "unknown; run `robo execute` again once it is back: it reads everything first"
            )
        self.ledger.accounts.record_snapshot(
            evidence.account,
            evidence.at,
            evidence.cash,
            evidence.net_liquidation,
            f"{day.date} after",
        )
        await self._protect(desk)  # what the last evidence has changed
        self._report(desk, "session over")

    async def _protect(self, desk: OrderDesk) -> None:
        """Keep stops and targets in step with the positions, which sales and fills change."""
        if self._exits.is_idle:
            return
        is_settling = await self._keep_exits(desk)
        if is_settling or unshown_exits(desk):
            await self._advance(self._clock.now() + SETTLE, desk)
            if unshown_exits(desk):
                desk.lose_connection(self._clock.now())
                await recover(desk, self.settings.quiet_period)
            await self._keep_exits(desk)

    async def _keep_exits(self, desk: OrderDesk) -> bool:
        """Ask for what exits need; say whether one waited for its end, which may have come."""
        self._exits.keep(self._clock.now())
        while desk.is_crowded:
            await asyncio.sleep(CROWDED_WAIT)
            await self._watch(desk)
            await self._read_everything(desk)
            self._exits.keep(self._clock.now())
        was_settling = self._exits.is_settling
        await self._read_everything(desk)
        return was_settling or self._exits.is_settling

    async def _settle(self, desk: OrderDesk) -> bool:
        """Give what was just sent time to end; reconcile what has not, and say whether so.

        Market time goes on only once the gateway has read the orders: they may wait in a queue.
        """
        await self._read_everything(desk)
        if not desk.is_quiet:
            await self._advance(self._clock.now() + SETTLE, desk)
        if desk.is_quiet or desk.is_blind:
            return False
        if has_untraced(desk):
            desk.lose_connection(self._clock.now())
        await recover(desk, self.settings.quiet_period)
        return not desk.is_blind

    async def _advance(self, moment: datetime, desk: OrderDesk) -> None:
        """Let market time run to `moment`, reading evidence and watching for halts on the way."""
        clock = self._clock
        while True:
            await self._watch(desk)
            now = clock.now()
            if now >= moment:
                break
            step = timedelta(seconds=WATCH_EVERY / max(clock.wall_seconds_per_second, 1e-9))
            await clock.sleep_until(min(moment, now + step))
            await self._read_everything(desk)
        await self._read_everything(desk)

    async def _read_everything(self, desk: OrderDesk) -> None:
        """Return once all that the gateway had sent on both connections has been taken."""
        desk.pump(await self._links.read())
        if desk.doubted:
            await look_up_doubted(desk)
        if desk.must_reconcile or desk.look_again:
            await recover(desk, self.settings.quiet_period)
        self._watcher.look(self._clock.now())

    async def _watch(self, desk: OrderDesk) -> None:
        """Stop on a halt, a stop request or an expired arming, once what works is cancelled.

        Keep the lease otherwise.
        """
        changed = self.limits_watch.notice() if self.limits_watch else ""
        if changed:
            self._alert("the risk limits were changed", changed)
        reason = reason_to_stop(
            desk,
            self.settings,
            self.stop,
            symbol_halts=self._symbol_halts,
            guard=self._guard,
            now=self._clock.now(),
        )
        reason = reason or await self._lost_time()
        if reason is None:
            desk.lease = self._lease.renew()
            return
        if isinstance(reason, AutomaticHalt):
            self._keep_halt(reason)
        if isinstance(reason, RetryLater) and self.settings.on_stop == "leave":
            leave_working(desk, self._clock.now())
            raise reason
        desk.cancel_working()
        await self._clock.sleep_until(self._clock.now() + SETTLE)
        await self._read_everything(desk)
        self._may_work = self._is_left = not desk.is_quiet
        raise reason

    async def _lost_time(self) -> RetryLater | None:
        try:
            await self._links.require_even_time()
        except GatewayNotReady:
            raise
        except RetryLater as lost:
            return lost
        return None

    def _keep_halt(self, halt: AutomaticHalt) -> None:
        keep_halt(self.ledger, halt, self._alert)

    @property
    def _clock(self) -> WallClock | GatewayClock:
        return self._links.clock

    async def _await_gateway(self, deadline: datetime, error: GatewayNotReady) -> None:
        """Wait a little for the gateway to come back; RetryLater once the deadline has passed.

        AutomaticHalt when a working session has been without it for longer than its limit.
        """
        self._guard.require_heartbeat(datetime.now(UTC))
        if self.stop.is_set() or datetime.now(UTC) >= deadline:
            raise RetryLater(
                f"{error}. The schedule is kept in the ledger: see that the gateway runs "
                "and is logged in, and run `robo execute` again; it reads what the broker has "
                "before it sends anything"
            ) from error
        self._lease.renew()
        logger.warning("%s; trying again in %.1f s", error, self._back_off)
        await self._links.close()
        await asyncio.sleep(self._back_off)
        self._back_off = min(2 * self._back_off, LONGEST_BACK_OFF)

    def _alert(self, subject: str, text: str) -> None:
        alert = Alert(datetime.now(UTC), "error", subject, text)
        raise_alert(self.settings.state_dir / "alerts.jsonl", alert)

    def _report(self, desk: OrderDesk, text: str) -> None:
        at_work = desk.executions.values()
        self.on_progress(progress_of(self._clock.now(), self._ended, at_work, text))
