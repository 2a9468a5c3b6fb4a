"""Flatten: close this system's positions while trading is halted, by reducing orders alone.

Each position becomes a parent order of strategy "flatten", worked like any other: intents are
committed before they are sent, a crash is recovered from, and the ledger refuses in the same
transaction whatever would do more than reduce. A run that broke off is simply given again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput, RetryLater, RoboError
from models.domain.orders import ParentOrder
from models.execution.engine import restore
from models.execution.events import CancelRequested
from models.execution.state import SlicingPolicy
from models.risk.closing import Closing, closings, pieces
from models.risk.reduce_gate import check_reducing
from models.risk.verdict import Verdict
from tasks.leases.session_lease import SessionLease
from tasks.session.recovery import note_schedules, recover
from tasks.session.settled_desk import SettledDesk, settled_desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.risk.limits import RiskLimits
    from tasks.crash_points import Boundary
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger

STRATEGY = "flatten"
BETWEEN_SLICES = timedelta(seconds=5)  # of market time
LEAD = timedelta(seconds=1)  # quotes that arrive in this last stretch are at most that old
SETTLE = timedelta(seconds=2)
MOST_PASSES = 5
LEASE_PATIENCE = 60.0
CROWDED_WAIT = 0.1  # wall-clock seconds until the pacing has room for another message


@dataclass(frozen=True, slots=True)
class FlattenOrder:
    """What to close: `symbol` alone or (empty) every one; `everything`: trades by hand as well."""

    by: str
    reason: str
    symbol: str = ""
    everything: bool = False


@dataclass(frozen=True, slots=True)
class FlattenOutcome:
    """Signed shares by symbol: before, closed, and what is left of what was to be closed."""

    account: str
    before: dict[str, int]
    closed: dict[str, int]
    left: dict[str, int]
    external: dict[str, int]
    why_left: str


async def flatten(
    settings: Settings,
    ledger: OrderLedger,
    limits: RiskLimits,
    order: FlattenOrder,
    on_progress: Callable[[str], None],
    *,
    boundary: Boundary | None = None,
) -> FlattenOutcome:
    """Close the positions and return what became of them; `boundary` is for crash tests.

    Raises InvalidInput when trading is not halted, RetryLater when a session does not end or the
    market is closed, GatewayUnreachable without a gateway.
    """
    if ledger.halts.current(order.symbol) is None:
        raise InvalidInput("a flatten needs a halt first: give `robo halt --flatten`")
    lease = await _lease_of_the_session(settings, ledger, on_progress)
    try:
        async with settled_desk(
            settings,
            ledger,
            lease,
            limits,
            require_account=settings.require_tradable,  # a live one needs its arming for this
            boundary=boundary,
        ) as settled:
            return await _Flatten(settings, ledger, limits, order, on_progress, settled).run()
    finally:
        lease.release()


async def _lease_of_the_session(
    settings: Settings, ledger: OrderLedger, on_progress: Callable[[str], None]
) -> SessionLease:
    """Take the lease once the halted session has let go of it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LEASE_PATIENCE
    is_told = False
    while True:
        try:
            return SessionLease.take(ledger, settings, busy=RetryLater)
        except RetryLater as busy:
            if loop.time() > deadline:
                raise RetryLater(
                    f"nothing was closed: {busy}. A session that was halted ends by itself; one "
                    "that hangs has to be ended, then give `robo halt --flatten` again"
                ) from busy
        if not is_told:
            on_progress("waiting for the halted session to end")
            is_told = True
        await asyncio.sleep(0.25)


@dataclass(slots=True)
class _Flatten:
    settings: Settings
    ledger: OrderLedger
    limits: RiskLimits
    order: FlattenOrder
    on_progress: Callable[[str], None]
    settled: SettledDesk

    async def run(self) -> FlattenOutcome:
        """Close in passes: what one leaves unfilled or unpriced, the next tries again."""
        desk, clock = self.settled.desk, self.settled.clock
        desk.check, desk.reduce_only = check_reducing, True
        if not self.settled.day.contains(clock.now()):
            raise RetryLater(
                "the market is closed, so nothing was closed; the halt stands. It opens at "
                f"{self.settled.day.open:%Y-%m-%d %H:%M} UTC: give `robo halt --flatten` again then"
            )
        before = dict(desk.book.positions)
        await self._end_plans()
        wanted = self._to_close()
        await self.settled.data.subscribe([one.symbol for one in wanted])
        for number in range(1, MOST_PASSES + 1):
            todo = self._to_close()
            if not todo or not self.settled.day.contains(clock.now() + LEAD):
                break
            await self._work(number, todo)
        return self._outcome(before, wanted)

    def _to_close(self) -> tuple[Closing, ...]:
        account = self.settled.evidence.account
        return closings(
            self.ledger.executions.positions(account),
            self.ledger.attribution.own_positions(account),
            symbol=self.order.symbol,
            everything=self.order.everything,
        )

    async def _end_plans(self) -> None:
        """Cancel the parents that were being worked: a resume must not buy again what is closed."""
        desk, now = self.settled.desk, self.settled.clock.now()
        for parent_id, execution in desk.executions.items():
            if self.order.symbol in ("", execution.parent.symbol):
                why = f"flattened by {self.order.by}: {self.order.reason}"
                desk.feed(parent_id, CancelRequested(why), now)
        await self._settle()

    async def _work(self, number: int, todo: tuple[Closing, ...]) -> None:
        self.on_progress(f"pass {number}: closing " + _listed({c.symbol: c.quantity for c in todo}))
        desk, clock = self.settled.desk, self.settled.clock
        await self.settled.orders.qualify([one.symbol for one in todo])
        await self._advance(clock.now() + LEAD)  # for a first quote
        mine = self._add_parents(number, todo)
        await recover(desk, self.settings.quiet_period)
        schedule = sorted({due for one in mine for due in desk.executions[one].curve.due_times()})
        for due in [*schedule, max(desk.executions[one].curve.end for one in mine)]:
            await self._advance(due - LEAD)
            await self._advance(due)
            await self._send_due(mine)
            now = clock.now()
            await self._settle()
            done = {desk.executions[one].parent.symbol: desk.executions[one].filled for one in mine}
            self.on_progress(f"pass {number}, {now:%H:%M:%S} UTC: closed {_listed(done)}")
            if all(desk.executions[one].state.is_terminal for one in mine):
                return

    async def _send_due(self, mine: list[str]) -> None:
        """Let each parent act; what has no room among this second's messages goes in the next."""
        desk, clock = self.settled.desk, self.settled.clock
        desk.is_crowded = True
        while desk.is_crowded:
            desk.is_crowded, now = False, clock.now()
            for parent_id in mine:
                if not desk.executions[parent_id].state.is_terminal:
                    desk.ask(parent_id, now)
            if desk.is_crowded:
                await asyncio.sleep(CROWDED_WAIT)
                await self.settled.read_everything()

    def _add_parents(self, number: int, todo: tuple[Closing, ...]) -> list[str]:
        desk, now = self.settled.desk, self.settled.clock.now()
        ids: list[str] = []
        for one in todo:
            quote = desk.quote(one.symbol)
            if quote is None or not quote.is_sane:
                self.on_progress(f"{one.symbol} has no quote, so it waits for the next pass")
                continue
            parent, policy = self._parent(number, one, now, quote.mid)
            self.ledger.parents.add([parent])
            verdict = Verdict("reduces", True, f"closes {one.quantity} shares: {self.order.reason}")
            self.ledger.parents.record_verdicts(parent.parent_id, (verdict,), now)
            desk.executions[parent.parent_id] = restore(parent, policy)
            ids.append(parent.parent_id)
        note_schedules(self.ledger, {i: desk.executions[i] for i in ids}, now)
        if not ids:
            raise RetryLater("no position has a quote to close it by; try again in a minute")
        return ids

    def _parent(
        self, number: int, one: Closing, now: datetime, mid: Decimal
    ) -> tuple[ParentOrder, SlicingPolicy]:
        day = self.settled.day
        slices = pieces(one.quantity, float(mid), self.limits)
        start = now + LEAD
        end = min(start + slices * BETWEEN_SLICES, day.close)
        order = ParentOrder(
            parent_id=f"{day.date:%Y%m%d}-{STRATEGY}-{one.symbol}-{now:%H%M%S}-{number}",
            session=day.date,
            strategy=STRATEGY,
            symbol=one.symbol,
            side=one.side,
            quantity=one.quantity,
            algo="TWAP",
            start=start,
            end=end,
            decision_price=mid,
            decided_at=now,
            model_version="none",
        )
        # A quarter of the collar beyond the touch: marketable, and inside the collar with a spread.
        offset = Decimal(repr(self.limits.price_collar_bps)) / 4
        return order, SlicingPolicy(slices, min(offset, Decimal(1000)), Decimal(2), 1)

    async def _advance(self, moment: datetime) -> None:
        await self.settled.clock.sleep_until(moment)
        await self.settled.read_everything()

    async def _settle(self) -> None:
        """Let what was sent end; what left no trace is looked for as a session does."""
        desk, clock = self.settled.desk, self.settled.clock
        await self.settled.read_everything()
        if not desk.is_quiet:
            await self._advance(clock.now() + SETTLE)
        if not desk.is_quiet or desk.must_reconcile:
            desk.lose_connection(clock.now())
            await recover(desk, self.settings.quiet_period)
        desk.book.refresh()

    def _outcome(self, before: dict[str, int], wanted: tuple[Closing, ...]) -> FlattenOutcome:
        account = self.settled.evidence.account
        now = self.ledger.executions.positions(account)
        todo = {c.symbol: c.side.sign * -c.quantity for c in self._to_close()}
        closed = {
            c.symbol: before.get(c.symbol, 0) - now.get(c.symbol, 0)
            for c in wanted
            if before.get(c.symbol, 0) != now.get(c.symbol, 0)
        }
        external = {s: n for s, n in now.items() if s not in todo}
        denied = "; ".join(f"{ref}: {why}" for ref, why in self.settled.desk.denied.items())
        why = denied or "not filled within the collar" if todo else ""
        return FlattenOutcome(account, before, closed, todo, external, why)


def flatten_now(
    settings: Settings, order: FlattenOrder, on_progress: Callable[[str], None]
) -> FlattenOutcome:
    """Open the ledger, read the limits and flatten (blocking)."""
    from tasks.limits import load_limits
    from tasks.stores import open_ledger

    limits = load_limits(settings.limits_path)
    with open_ledger(settings) as ledger:
        return asyncio.run(flatten(settings, ledger, limits, order, on_progress))


def require_flat(outcome: FlattenOutcome) -> None:
    """Raise RoboError that lists what is still held of what was to be closed."""
    if outcome.left:
        raise RoboError(
            f"not flat: {_listed(outcome.left)} left ({outcome.why_left}); the halt stands, give "
            "`robo halt --flatten` again or close them in TWS"
        )


def _listed(shares: dict[str, int]) -> str:
    return ", ".join(f"{symbol} {count:,}" for symbol, count in shares.items()) + " shares"
