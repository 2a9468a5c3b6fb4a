"""The market warehouse: every repository over one DuckDB file."""

from __future__ import annotations

from pathlib import Path

from models.domain.errors import InvalidInput
from warehouse.market.bars import DailyBars
from warehouse.market.connection import MarketStore
from warehouse.market.corporate_actions import CorporateActions
from warehouse.market.history_windows import HistoryWindows
from warehouse.market.instruments import Instruments
from warehouse.market.lake import PREFIX, LakeStore
from warehouse.market.minutes import MinuteBars
from warehouse.market.quality_context import QualityContext
from warehouse.market.quality_results import QualityResults
from warehouse.market.quality_scores import QualityScores
from warehouse.market.quarantine import Quarantine
from warehouse.market.second_bars import SecondBars
from warehouse.market.signals import Signals
from warehouse.market.targets import Targets
from warehouse.market.tca import TcaRows
from warehouse.market.universes import Universes


class MarketWarehouse:
    """Market data and what research derives from it; holds no file open between calls."""

    def __init__(self, path: Path | str, deadline: float = 20.0, data: Path | None = None) -> None:
        """Name the DuckDB file, created at first use; wait `deadline` seconds for other holders.

        `path` may also name a lake, as in `warehouse/market/lake.py`, whose files are in `data`.
        """
        self._store = _store(path, deadline, data)
        self.bars = DailyBars(self._store)
        self.minutes = MinuteBars(self._store)
        self.seconds = SecondBars(self._store)
        self.instruments = Instruments(self._store)
        self.universes = Universes(self._store)
        self.actions = CorporateActions(self._store)
        self.history_windows = HistoryWindows(self._store)
        self.quality = QualityResults(self._store)
        self.context = QualityContext(self._store)
        self.scores = QualityScores(self._store)
        self.quarantine = Quarantine(self._store)
        self.signals = Signals(self._store)
        self.targets = Targets(self._store)
        self.tca = TcaRows(self._store)

    @property
    def path(self) -> Path:
        """The DuckDB file, or the folder of a lake."""
        return self._store.path

    def check(self) -> None:
        """Open the file once, as `robo doctor` does; raises what any use of it would raise."""
        with self._store.read():
            pass

    @property
    def store(self) -> MarketStore:
        """What `storage`, `exchange` and `maintenance` work on."""
        return self._store


def _store(path: Path | str, deadline: float, data: Path | None) -> MarketStore:
    if not str(path).startswith(PREFIX):
        return MarketStore(Path(path), deadline)
    if data is None:
        raise InvalidInput("a lake needs a folder for its files; set ROBO_WAREHOUSE_DATA")
    return LakeStore(str(path), data, deadline)
