"""The S&P 500 sample that an installed package ships, read as a plain file."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from models.features.closes import close_matrix
from models.features.daily import daily_features


@pytest.fixture(scope="session")
def sample_bars() -> pd.DataFrame:
    """Closes of 20 companies, 1990 to 2022, in long format."""
    spec = find_spec("skfolio")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    wide = pd.read_csv(folder / "datasets/data/sp500_dataset.csv.gz", index_col=0, parse_dates=True)
    wide.index = pd.Index([stamp.date() for stamp in wide.index], name="session")
    wide.columns.name = "symbol"
    return wide.stack().rename("close").reset_index()


@pytest.fixture(scope="session")
def sample_closes(sample_bars: pd.DataFrame) -> pd.DataFrame:
    return close_matrix(sample_bars)


@pytest.fixture(scope="session")
def sample_features(sample_bars: pd.DataFrame) -> pd.DataFrame:
    return daily_features(sample_bars)
