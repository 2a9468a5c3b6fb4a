"""Record ticks and depth: buffered for under half a second, journalled, rotated into Parquet."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput, SkipToday
from models.domain.sessions import exchange_date, next_session, session_on
from tasks.broker.clock import market_now, open_clock
from tasks.broker.protocol import GatewayUnreachable
from warehouse.market.ticks import KINDS, TickFiles, schema_of

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.settings import Settings
    from warehouse.market.tick_journal import TickJournal

FLUSH = 0.4  # wall seconds: what a kill loses at most
ROTATE = 300.0  # wall seconds
ROTATE_ROWS = 500_000
HEARTBEAT = 5.0  # wall seconds
RECONNECT = 16.0  # wall seconds: a second tick request of one instrument needs 15
RECONNECTS = 20
TOO_SOON = 3  # times that requests are made again which came too soon after a former recorder's
LONGEST_WAIT = timedelta(hours=2)  # of market time, for the open
AFTER_CLOSE = timedelta(seconds=30)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What was recorded, in rows by kind; `recovered` rows were left by a recorder that died.

    `written` are the Parquet files that were made, of recovered rows too.
    """

    rows: dict[str, int]
    written: tuple[Path, ...]
    recovered: int
    interruptions: int
    refused: dict[str, str]
    ended: str

    @property
    def summary(self) -> str:
        """One line for people."""
        counts = ", ".join(f"{count:,} {kind}" for kind, count in self.rows.items())
        text = f"recorded {counts} in {len(self.written)} Parquet files; {self.ended}"
        if self.recovered:
            text += f"; {self.recovered:,} rows recovered from an earlier recorder"
        if self.interruptions:
            text += f"; {self.interruptions} interruptions of the data"
        if self.refused:
            told = "; ".join(f"{name}: {why}" for name, why in self.refused.items())
            text += f"; refused by the broker: {told}"
        return text


class Recorder:
    """Takes ticks on the event loop and writes them, from a thread, to journals and Parquet."""

    def __init__(self, files: TickFiles, source: str) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self.written: list[Path] = []
        self.market_time = datetime.now(UTC)
        self._files = files
        self._source = source
        self._columns = {kind: [f.name for f in schema_of(kind)] for kind in KINDS}
        self._rows: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in KINDS}
        self._journals: dict[str, TickJournal] = {}
        self._opened: dict[str, float] = {}
        self._sequence = 0
        self._number = 0

    def take(self, kind: str, symbol: str, at: int | None, values: tuple[object, ...]) -> None:
        """Take one tick; one without a time has the newest that was heard from the broker."""
        moment = self.market_time
        if at is not None:
            moment = datetime.fromtimestamp(at, UTC)
            self.market_time = max(self.market_time, moment)
        known = datetime.now(UTC).replace(tzinfo=None)
        self._sequence += 1
        head = (moment.replace(tzinfo=None), known, self._sequence, self._source)
        self._rows[kind].append((*head, *values, symbol))

    async def flush(self) -> None:
        """Write what has arrived; rotate journals that are old or long."""
        taken = {kind: rows for kind, rows in self._rows.items() if rows}
        self._rows = {kind: [] for kind in KINDS}
        await asyncio.to_thread(self._write, taken)

    def _write(self, taken: dict[str, list[tuple[Any, ...]]]) -> None:
        for kind, rows in taken.items():
            if kind not in self._journals:
                self._number += 1
                name = f"{time.time_ns()}-{os.getpid()}-{self._number}"
                self._journals[kind] = self._files.journal(kind, name)
                self._opened[kind] = time.monotonic()
            columns = zip(*rows, strict=True)
            self._journals[kind].append(
                dict(zip(self._columns[kind], (list(column) for column in columns), strict=True))
            )
            self.counts[kind] += len(rows)
        for kind, journal in list(self._journals.items()):
            old = time.monotonic() - self._opened[kind] > ROTATE
            if old or journal.rows > ROTATE_ROWS:
                self._rotate(kind)

    def _rotate(self, kind: str) -> None:
        journal = self._journals.pop(kind)
        journal.close()
        self.written += self._files.rotate(journal.path).files

    async def close(self) -> None:
        """Write the last rows and turn every journal into Parquet."""
        await self.flush()
        for kind in list(self._journals):
            await asyncio.to_thread(self._rotate, kind)


@dataclass(slots=True)
class _Run:
    settings: Settings
    symbols: Sequence[str]
    depth_rows: int
    until: datetime
    progress: Progress
    stop: Event
    interruptions: int = 0
    too_soon: int = 0
    refused: dict[str, str] = field(default_factory=dict[str, str])


async def record_ticks(
    settings: Settings,
    symbols: Sequence[str],
    progress: Progress,
    stop: Event,
    *,
    depth_rows: int = 0,
    minutes: float | None = None,
) -> RecordReport:
    """Record trades, quotes and (with `depth_rows` a side) books until the session has closed.

    `minutes` of market time end it earlier, and so does `stop`. A gateway that goes away is waited
    for. Raises SkipToday when the market is closed, InvalidInput for an unknown symbol or when the
    broker refuses everything, GatewayUnreachable when it stays away.
    """
    now = await asyncio.to_thread(market_now, settings.clock, settings.host, settings.control_port)
    end = _end_of(now)
    until = min(end, now + timedelta(minutes=minutes)) if minutes else end
    files = TickFiles(settings.ticks_dir)
    recovered = await asyncio.to_thread(files.recover)
    if recovered.rows:
        progress(f"{recovered.rows:,} rows of a recorder that died are in Parquet now")
    recorder = Recorder(files, "ibkr")
    recorder.market_time = now
    run = _Run(settings, symbols, depth_rows, until, progress, stop)
    try:
        await _keep_recording(run, recorder)
    finally:
        await recorder.close()
    return RecordReport(
        rows=dict(recorder.counts),
        written=(*recovered.files, *recorder.written),
        recovered=recovered.rows,
        interruptions=run.interruptions,
        refused=run.refused,
        ended="stopped" if stop.is_set() else f"until {until:%Y-%m-%d %H:%M} UTC",
    )


def _end_of(now: datetime) -> datetime:
    session = session_on(exchange_date(now))
    if session is None or now >= session.close:
        session = next_session(exchange_date(now))
    if session.open - now > LONGEST_WAIT:
        raise SkipToday(
            f"market closed: the next session opens {session.open:%Y-%m-%d %H:%M} UTC; record then"
        )
    return session.close + AFTER_CLOSE


async def _keep_recording(run: _Run, recorder: Recorder) -> None:
    """Connect and record, again and again, until the end or until the gateway stays away."""
    while True:
        try:
            if await _record_once(run, recorder):
                return
        except GatewayUnreachable as error:
            run.interruptions += 1
            if run.interruptions > RECONNECTS:
                raise
            run.progress(f"data interrupted ({error}); connecting again in {RECONNECT:g} s")
        await recorder.flush()
        if await asyncio.to_thread(run.stop.wait, RECONNECT):
            return


async def _record_once(run: _Run, recorder: Recorder) -> bool:
    """Record over one connection; return whether recording has come to its end."""
    from tasks.broker.roles import Role, address
    from tasks.broker.tick_stream import TickConnection

    chosen = run.settings
    link = await TickConnection.open(address(chosen, Role.TICKS), chosen.broker_timeout)
    try:
        clock = await open_clock(chosen.clock, chosen.host, chosen.control_port, "record-ticks")
    except GatewayUnreachable:
        await link.close()
        raise
    step = timedelta(seconds=FLUSH / clock.wall_seconds_per_second)
    try:
        await link.stream(run.symbols, run.depth_rows, recorder)
        run.progress(f"recording {', '.join(run.symbols)}")
        beat = told = time.monotonic()
        while not link.lost.is_set():
            await clock.sleep_until(min(clock.now() + step, max(run.until, clock.now())))
            now = clock.now()
            recorder.market_time = max(recorder.market_time, now)
            await recorder.flush()
            if link.too_soon and run.too_soon < TOO_SOON:
                run.too_soon += 1
                run.progress(f"the broker wants a pause between requests: {RECONNECT:g} s")
                return False
            run.refused.update(link.refused)
            _require_something(run, recorder)
            if run.stop.is_set() or now >= run.until:
                return True
            if time.monotonic() - beat > HEARTBEAT:
                await link.flush()
                beat = time.monotonic()
            if time.monotonic() - told > 60:
                run.progress(", ".join(f"{n:,} {kind}" for kind, n in recorder.counts.items()))
                told = time.monotonic()
        run.interruptions += 1
        run.progress("the broker has forgotten every subscription; asking again")
        return False
    finally:
        await clock.close()
        await link.close()


def _require_something(run: _Run, recorder: Recorder) -> None:
    """Raise InvalidInput when every stream that was asked for is refused and nothing has come."""
    kinds = ("ticks", "data") + (("depth",) if run.depth_rows else ())
    ticks = all(any(f"{symbol} {kind}" in run.refused for kind in kinds) for symbol in run.symbols)
    if ticks and not any(recorder.counts.values()):
        told = "; ".join(f"{name}: {why}" for name, why in run.refused.items())
        raise InvalidInput(
            f"the broker refuses to stream ticks ({told}); see the market data subscriptions, or "
            "record fewer symbols"
        )
