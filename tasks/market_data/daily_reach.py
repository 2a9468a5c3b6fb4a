"""How far back each symbol's daily bars were asked for, so that what is missing in front is seen.

An instrument may be younger than ROBO_HISTORY_YEARS: that nothing older came is no reason to ask
every day. So each request for all history is kept among the windows of history, as bar size 1d.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from warehouse.market.history_windows import HistoryWindow, WindowState

if TYPE_CHECKING:
    from warehouse.market import MarketWarehouse

BAR_SIZE = "1d"
CLOSED_DAYS = timedelta(days=7)  # no longer is New York closed at a stretch


def missing_in_front(
    warehouse: MarketWarehouse, symbols: Sequence[str], earliest: date
) -> frozenset[str]:
    """Return the stored symbols of which bars from `earliest` on were never asked for.

    Of symbols without a note, from an older version or a file, the first stored bar tells.
    """
    first = warehouse.bars.first_sessions(without="sample")
    found: set[str] = set()
    for symbol in symbols:
        if symbol not in first:
            continue
        asked = [window.first for window in warehouse.history_windows.covered(symbol, BAR_SIZE)]
        if earliest < min(asked, default=first[symbol] - CLOSED_DAYS):
            found.add(symbol)
    return frozenset(found)


def note_reach(
    warehouse: MarketWarehouse, symbols: Iterable[str], earliest: date, last: date, at: datetime
) -> None:
    """Note that all bars of `symbols` in [earliest, last] were asked for, and merged, at `at`."""
    windows = [HistoryWindow(symbol, BAR_SIZE, earliest, last) for symbol in symbols]
    if not windows:
        return
    warehouse.history_windows.plan(windows, at)
    for window in windows:
        warehouse.history_windows.settle(window, WindowState.DONE, 0, at)
