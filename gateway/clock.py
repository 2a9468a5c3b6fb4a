"""Market time against wall time: held by its clients, or free, at a chosen speed.

Time only says how far the exchange may go; what happens on the way is the exchange's own and does
not depend on when the wall clock lets it happen.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.engine.exchange import Exchange

BEAT = 0.004  # wall seconds between two looks at the wall clock
FINE = 0.001  # wall seconds: the event loop sleeps in whole ones of these
PERSIST = 1.0  # wall seconds between two saves of a running clock
BUSY = 0.030  # wall seconds of work before other connections get their turn

log = logging.getLogger("gateway.clock")


@dataclass(slots=True, eq=False)
class Holder:
    """One control connection that holds the clock; `target` is how far it lets time run."""

    name: str
    target: int | None = None
    waiters: list[asyncio.Future[int]] = field(default_factory=list)


class MarketClock:
    """Runs an exchange's time.

    `deliver` saves and sends what happened; `settle` also waits until the sockets have taken it.
    """

    def __init__(
        self,
        exchange: Exchange,
        speed: float,
        free: bool,
        deliver: Callable[[], None],
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        self._exchange = exchange
        self.speed = speed
        self.free = free
        self.step = False  # run to where time may go at once, whatever the speed
        self._deliver = deliver
        self._at_rest = settle
        self.holders: list[Holder] = []
        self._wake = asyncio.Event()
        self.running = False

    def hold(self, name: str) -> Holder:
        """Register a holder: the clock stops for it at once."""
        holder = Holder(name)
        self.holders.append(holder)
        self._wake.set()
        return holder

    def release(self, holder: Holder) -> None:
        """Forget a holder; others decide from now on."""
        if holder in self.holders:
            self.holders.remove(holder)
            for waiter in holder.waiters:
                if not waiter.done():
                    waiter.cancel()
            self._wake.set()

    async def advance(self, holder: Holder, to: int) -> int:
        """Let time run to `to` for this holder; return once it has got there."""
        if to > self._exchange.now:
            waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            holder.target = to
            holder.waiters.append(waiter)
            self._wake.set()
            await waiter
        else:
            await self._at_rest()
        return self._exchange.now

    def _limit(self) -> int | None:
        """Return how far time may run: None for not at all, -1 for no end."""
        if not self.holders:
            return -1 if self.free else None
        targets = [holder.target for holder in self.holders]
        if any(target is None for target in targets):
            return None
        return min(target for target in targets if target is not None)

    async def run(self) -> None:
        """Run time for as long as the gateway lives."""
        while True:
            limit = self._limit()
            if limit is None or 0 <= limit <= self._exchange.now:
                await self._settle()
                self._wake.clear()
                if self._limit() == limit:
                    await self._wake.wait()
                # A client's orders may lie in a socket behind the word that let time run: two turns
                # of the loop read everything that had arrived by then.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                continue
            await self._run_stretch()

    async def _run_stretch(self) -> None:
        self.running = True
        wall, start = time.monotonic(), self._exchange.now
        saved = wall
        while (limit := self._limit()) is not None and (limit < 0 or self._exchange.now < limit):
            if self.holders and not self._exchange.in_session:
                self._jump(limit)
                wall, start = time.monotonic(), self._exchange.now
                await asyncio.sleep(0)
                continue
            now = time.monotonic()
            allowed = start + int((now - wall) * self.speed * 1e6)
            allowed = allowed if limit < 0 else limit if self.step else min(allowed, limit)
            await self._go(allowed)
            if now - saved >= PERSIST:
                saved = now
                self._deliver()
            if self._exchange.now < limit or limit < 0:
                await asyncio.sleep(self._pause(wall, start, limit))
        self.running = False

    def _pause(self, wall: float, start: int, limit: int) -> float:
        """Return how long to sleep (s): a beat, or until a stretch ends that ends sooner.

        The last part of a millisecond is awaited turn by turn (0), so that a client that asks for
        many short stretches does not pay a sleep for each.
        """
        if limit < 0:
            return BEAT
        left = wall + (limit - start) / self.speed / 1e6 - time.monotonic()
        return min(max(left, 0.0) // FINE * FINE, BEAT)

    async def _go(self, allowed: int) -> None:
        """Go to `allowed` in short pieces, so that no connection waits long."""
        exchange = self._exchange
        while exchange.now < allowed:
            piece = time.monotonic()
            while exchange.now < allowed and time.monotonic() - piece < BUSY:
                exchange.advance(min(exchange.now + 5_000_000, allowed))
            if exchange.changes.any or exchange.changes.events:
                self._deliver()
            if exchange.now < allowed:
                await asyncio.sleep(0)

    def _jump(self, limit: int) -> None:
        exchange = self._exchange
        ends = exchange.span.open
        exchange.advance(ends if limit < 0 else min(ends, limit))
        self._deliver()

    async def _settle(self) -> None:
        """Stand still: save, send the last state, and answer whoever waited for this moment."""
        self.running = False
        await self._at_rest()
        now = self._exchange.now
        for holder in self.holders:
            if holder.target is not None and holder.target <= now:
                holder.target = None
                for waiter in holder.waiters:
                    if not waiter.done():
                        waiter.set_result(now)
                holder.waiters.clear()
