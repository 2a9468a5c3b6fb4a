"""How much clients may ask for: Interactive Brokers' documented limits, in wall time.

Each limit is an option of the gateway. What the documents leave open is said where it is decided.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from gateway.engine.refusal import Refused
from gateway.limits import PacingLimits
from gateway.session.contracts import one_column

if TYPE_CHECKING:
    from gateway.session.connection import Connection

Values = dict[str, Any]
# A second, less what scheduling may press together: a client that keeps to the limit on its own
# clock must not be found guilty on ours.
WINDOW = 0.9
VIOLATIONS = 3  # seconds of too many messages until the socket is closed
FORGIVEN = 60.0  # wall seconds after which a violation no longer counts
BURST, BURST_WINDOW = 6, 2.0  # requests of one contract, exchange and kind
IDENTICAL_WINDOW = 15.0
HISTORY_WINDOW = 600.0
SMALL_BARS = ("1 sec", "5 sec", "10 sec", "15 sec", "30 sec")
LAG_BEAT = 0.05

TOO_FAST = "Historical Market Data Service error message:Historical data request pacing violation"
LINES = {
    "reqMktData": (
        "cancelMktData",
        "market_data_lines",
        101,
        "Max number of tickers has been reached",
    ),
    "reqMktDepth": (
        "cancelMktDepth",
        "depth_lines",
        309,
        "Max number ({}) of market depth requests has been reached",
    ),
    "reqTickByTickData": (
        "cancelTickByTickData",
        "tick_by_tick_lines",
        10190,
        "Max number of tick-by-tick requests has been reached.",
    ),
}
# The documents give the wait, not its answer. Kinds count apart: Interactive Brokers' own sample
# program asks for Last, AllLast and BidAsk of one contract at once.
TOO_SOON = (
    10190,
    "Max number of tick-by-tick requests has been reached: one request for the same instrument "
    "within {} seconds.",
)
_STARTS = {cancel: start for start, (cancel, *_) in LINES.items()}


class MessageRate:
    """The messages of one connection within the last second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: deque[float] = deque()
        self._violations: deque[float] = deque()

    def count(self, now: float, late: float) -> tuple[int, int] | None:
        """Count a message; return (messages, violations so far) when it is one too many.

        `late` is how long the gateway itself was held up lately (s): what waited in the socket
        meanwhile only seems to have come at once.
        """
        times = self._times
        times.append(now)
        while times and times[0] <= now - max(WINDOW - late, 0.0):
            times.popleft()
        if len(times) <= self._limit:
            return None
        seen = len(times)
        times.clear()
        self._violations.append(now)
        while self._violations[0] < now - FORGIVEN:
            self._violations.popleft()
        return seen, len(self._violations)


class HistoryRate:
    """The requests for small bars and ticks of the last ten minutes, of all connections."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._all: deque[float] = deque()
        self._identical: dict[tuple[Any, ...], float] = {}
        self._bursts: dict[tuple[Any, ...], deque[float]] = {}

    def check(self, values: Values, column: int, now: float) -> None:
        """Count a request; raise Refused 162 when it comes too soon or is one too many."""
        asked = (column, *(str(v) for k, v in sorted(values.items()) if k != "reqId"))
        alike = (column, values["exchange"], values["whatToShow"])
        self._forget(now)
        if now - self._identical.get(asked, -IDENTICAL_WINDOW) < IDENTICAL_WINDOW:
            raise Refused(162, TOO_FAST)
        burst = self._bursts.setdefault(alike, deque())
        while burst and burst[0] <= now - BURST_WINDOW:
            burst.popleft()
        weight = 2 if values["whatToShow"] == "BID_ASK" else 1
        if len(burst) >= BURST - 1 or len(self._all) + weight > self._limit:
            raise Refused(162, TOO_FAST)
        burst.append(now)
        self._identical[asked] = now
        self._all.extend([now] * weight)

    def _forget(self, now: float) -> None:
        while self._all and self._all[0] <= now - HISTORY_WINDOW:
            self._all.popleft()
        for asked in [a for a, at in self._identical.items() if at <= now - IDENTICAL_WINDOW]:
            del self._identical[asked]
        for alike in [
            a for a, times in self._bursts.items() if not times or times[-1] <= now - BURST_WINDOW
        ]:
            del self._bursts[alike]

    def check_bars(self, now: float) -> None:
        """Count a subscription to five-second bars; raise Refused 420 when it is one too many."""
        self._forget(now)
        if len(self._all) >= self._limit:
            raise Refused(420, "Invalid Real-time Query:Historical data request pacing violation")
        self._all.append(now)


class Pacer:
    """Every limit of one gateway; `late` is how long its event loop was held up lately (s)."""

    def __init__(self, limits: PacingLimits) -> None:
        self.limits = limits
        self.late = 0.0
        self._rates: dict[Connection, MessageRate] = {}
        self._history = HistoryRate(limits.history_requests)
        self._lines: dict[str, dict[tuple[Connection, int], int]] = {name: {} for name in LINES}
        self._open: set[tuple[Connection, int]] = set()
        self._ticks_asked: dict[tuple[int, str], float] = {}

    def left(self, connection: Connection) -> None:
        """Forget a connection and what it holds."""
        self._rates.pop(connection, None)
        for lines in self._lines.values():
            for key in [key for key in lines if key[0] is connection]:
                del lines[key]
        self._open = {key for key in self._open if key[0] is not connection}

    def admit(self, connection: Connection) -> bool:
        """Count a message; tell of too many (100), and close after the third time: then False."""
        limit = self.limits.messages_per_second
        if not limit:
            return True
        rate = self._rates.get(connection)
        if rate is None:
            rate = self._rates[connection] = MessageRate(limit)
        over = rate.count(time.monotonic(), self.late)
        if over is None:
            return True
        seen, violations = over
        connection.error(
            -1,
            100,
            "Max rate of messages per second has been exceeded:"
            f"max={limit} rec={seen} ({violations})",
        )
        if violations < VIOLATIONS:
            return True
        connection.close()
        return False

    def check(self, connection: Connection, name: str, values: Values) -> None:
        """Raise Refused, with the code of its limit, for a request that is one too many."""
        if name in LINES:
            self._check_line(connection, name, values)
            if name == "reqTickByTickData":
                self._check_ticks(values)
        elif name in {"reqHistoricalData", "reqHistoricalTicks"}:
            self._check_history(connection, name, values)
        elif name == "reqRealTimeBars" and self.limits.history_requests:
            self._history.check_bars(time.monotonic())

    def _check_line(self, connection: Connection, name: str, values: Values) -> None:
        _, limit_name, code, text = LINES[name]
        limit = getattr(self.limits, limit_name)
        if not limit or (name == "reqMktData" and values["snapshot"]):
            return
        used = set(self._lines[name].values())
        if len(used) >= limit and one_column(values) not in used:
            raise Refused(code, text.format(limit))

    def _check_ticks(self, values: Values) -> None:
        wait, now = self.limits.tick_by_tick_seconds, time.monotonic()
        last = self._ticks_asked.get((one_column(values), values["tickType"]))
        if last is not None and now - last < wait:
            raise Refused(TOO_SOON[0], TOO_SOON[1].format(wait))

    def _check_history(self, connection: Connection, name: str, values: Values) -> None:
        limits = self.limits
        if limits.open_histories and len(self._open) >= limits.open_histories:
            raise Refused(
                322,
                "Error processing request.-'bP' : cause - "
                f"Only {limits.open_histories} simultaneous API historical data requests allowed.",
            )
        small = name == "reqHistoricalTicks" or values["barSize"].startswith(SMALL_BARS)
        if limits.history_requests and small:
            self._history.check(values, one_column(values), time.monotonic())

    def accepted(self, connection: Connection, name: str, values: Values) -> None:
        """Count what a request that was not refused now holds, or has let go of."""
        if name in LINES:
            if not values.get("snapshot"):
                self._lines[name][connection, values["reqId"]] = one_column(values)
            if name == "reqTickByTickData":
                self._ticks_asked[one_column(values), values["tickType"]] = time.monotonic()
        elif name in _STARTS:
            self._lines[_STARTS[name]].pop((connection, values["reqId"]), None)
        elif name == "reqHistoricalData":
            self._open.add((connection, values["reqId"]))
        elif name == "cancelHistoricalData":
            self._open.discard((connection, values["reqId"]))

    def finished(self, connection: Connection, values: Values) -> None:
        """Note that a history request has been answered; one kept up to date stays open."""
        if not values.get("keepUpToDate"):
            self._open.discard((connection, values["reqId"]))
