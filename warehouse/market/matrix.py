"""A long table of bars as a matrix: a row a session, a column a symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from warehouse.market.staging import ArrowTable

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def spread(bars: ArrowTable, figure: str) -> pd.DataFrame:
    """Return the column `figure` of a table (symbol, session, …) by session and symbol."""
    import pandas as pd

    sessions, rows = _numbered(bars.column("session"))
    symbols, columns = _numbered(bars.column("symbol"))
    cells = np.full((len(sessions), len(symbols)), np.nan)
    cells[rows, columns] = bars.column(figure).to_numpy()
    return pd.DataFrame(
        cells, index=pd.Index(sessions, name="session"), columns=pd.Index(symbols, name="symbol")
    )


def _numbered(column: Any) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the sorted values of a column, and the place of each row's among them."""
    coded = column.combine_chunks().dictionary_encode()
    values: list[Any] = coded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=values.__getitem__)
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.arange(len(values))
    return [values[number] for number in order], place[coded.indices.to_numpy()]
