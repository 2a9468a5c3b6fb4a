"""Real closes with simulated ranges around them, and settings that live in a temporary folder."""

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.settings import Settings, load_settings
from tasks.tracking import Tracker, open_tracker
from warehouse.ledger import OrderLedger


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Run every test in an empty folder, without ROBO_ variables; restore the environment after."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.upper().startswith("ROBO_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", lock_deadline=2.0)


@pytest.fixture(scope="session")
def make_bars() -> Callable[..., pd.DataFrame]:
    """Return a maker of Bars frames: `make_bars(symbols=…, first=…, last=…)` of the S&P sample."""
    whole = _sample_bars()

    def make(symbols: list[str] | None = None, first: object = None, last: object = None):
        chosen = whole
        if symbols is not None:
            chosen = chosen[chosen["symbol"].isin(symbols)]
        if first is not None:
            chosen = chosen[chosen["session"] >= first]
        if last is not None:
            chosen = chosen[chosen["session"] <= last]
        return chosen.reset_index(drop=True).copy()

    return make


def _sample_bars() -> pd.DataFrame:
    spec = find_spec("skfolio")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    wide = pd.read_csv(folder / "datasets/data/sp500_dataset.csv.gz", index_col=0, parse_dates=True)
    wide.index = pd.Index([stamp.date() for stamp in wide.index], name="session")
    wide.columns.name = "symbol"
    bars = wide.stack().rename("close").reset_index()
    rng = np.random.default_rng(7)
    bars["open"] = bars["close"] * np.exp(rng.normal(0, 0.005, len(bars)))
    bars["high"] = bars[["open", "close"]].max(axis=1) * 1.004
    bars["low"] = bars[["open", "close"]].min(axis=1) * 0.996
    bars["volume"] = rng.integers(1_000_000, 9_000_000, len(bars))
    return bars[["symbol", "session", "open", "high", "low", "close", "volume"]]


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow database, made once: its tables take seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    Tracker(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts").latest()
    return folder / "mlflow.db"


@pytest.fixture
def tracker(settings: Settings, empty_registry: Path) -> Tracker:
    settings.mlflow_dir.mkdir(parents=True)
    shutil.copy(empty_registry, settings.mlflow_dir / "mlflow.db")
    return open_tracker(settings)


@pytest.fixture
def ledger(settings: Settings, empty_ledger: Path) -> Iterator[OrderLedger]:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(empty_ledger, settings.state_dir / "ledger.sqlite")
    with OrderLedger(settings.ledger_url.get_secret_value(), deadline=2.0) as opened:
        yield opened
