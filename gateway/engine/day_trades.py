"""Day trades as the broker counts them for an account below 25,000 USD (FINRA 4210(f)(8)(B))."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from gateway.timeline import new_york
from models.domain.sessions import session_dates

if TYPE_CHECKING:
    from gateway.engine.orders import Execution

DAY_TRADER_EQUITY = 2_500_000  # cents; no limit from here on
MOST = 3  # in five sessions; the fourth makes a pattern day trader
SESSIONS = 5
LOOK_BACK = timedelta(days=14)  # holds five sessions, whatever the holidays
NO_LIMIT = -1


def window(today: date) -> Sequence[date]:
    """Return the New York dates of the sessions that count, today's the last if it is one."""
    return session_dates(today - LOOK_BACK, today)[-SESSIONS:]


def remaining(
    executions: Iterable[Execution], held: Mapping[int, int], equity: int, today: date
) -> int:
    """Return the day trades left, or -1 for no limit.

    `executions` are those of the window and later ones, superseded ones left out; `held` the
    signed shares now by instrument column, all of them counted; `equity` is cents.
    """
    if equity >= DAY_TRADER_EQUITY:
        return NO_LIMIT
    first = window(today)[0]
    fills = [e for e in executions if e.shares and new_york(e.at).date() >= first]
    fills.sort(key=lambda e: (e.column, e.at, e.exec_id))
    made = 0
    for column, of_column in groupby(fills, key=lambda e: e.column):
        listed = list(of_column)
        before = held.get(column, 0) - sum(_signed(e) for e in listed)
        for _, of_day in groupby(listed, key=lambda e: new_york(e.at).date()):
            trades = [_signed(e) for e in of_day]
            made += _made(before, trades)
            before += sum(trades)
    return max(0, MOST - made)


def _signed(execution: Execution) -> int:
    return execution.shares if execution.buy else -execution.shares


def _made(overnight: int, trades: Iterable[int]) -> int:
    """Count one day of one instrument: each run of closings of what the day has opened is one.

    What a trade does not close of the day's opening unwinds overnight shares first, then opens.
    """
    made, opened, is_run = 0, 0, False
    for signed in trades:
        closes = min(abs(opened), abs(signed)) if opened * signed < 0 else 0
        made += closes > 0 and not is_run
        sign = 1 if signed > 0 else -1
        rest = abs(signed) - closes
        unwinds = min(abs(overnight), rest) if overnight * signed < 0 else 0
        overnight += sign * unwinds
        opened += sign * (closes + rest - unwinds)
        is_run = closes > 0 and rest == 0
    return made
