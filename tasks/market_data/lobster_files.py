"""LOBSTER's message and order book files (Huang & Polak, 2011) as trades, quotes and depth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.sessions import TradingSession, at_exchange_time

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SCALE = 10_000.0  # file prices per USD
NO_PRICE = 9_999_999_999  # a level without orders
EXECUTED, HIDDEN = 4, 5


def read_lobster(path: Path, session: TradingSession) -> tuple[dict[str, pd.DataFrame], int]:
    """Return trades, quotes and depth of a message file and the book beside it, ts in UTC.

    Also returns how many events lie outside the session. Raises InvalidInput that names the file
    and the row which cannot be used.
    """
    book = path.with_name(path.name.replace("message", "orderbook"))
    if not book.is_file():
        raise InvalidInput(f"{book.name} is missing beside {path.name}; LOBSTER gives both")
    messages, levels = _table(path), _table(book)
    if messages.shape[1] < 6 or levels.shape[1] % 4 or len(messages) != len(levels):
        raise InvalidInput(
            f"{path.name} has {len(messages)} rows of {messages.shape[1]} columns and {book.name} "
            f"{len(levels)} of {levels.shape[1]}; give the two files of one day"
        )
    midnight = at_exchange_time(session.date, 0).replace(tzinfo=None)
    micros = np.round(messages[:, 0] * 1e6).astype("timedelta64[us]")
    ts = np.datetime64(midnight, "us") + micros
    inside = (ts >= np.datetime64(session.open.replace(tzinfo=None), "us")) & (
        ts < np.datetime64(session.close.replace(tzinfo=None), "us")
    )
    ladder = np.where(np.abs(levels) >= NO_PRICE, 0, levels).reshape(len(levels), -1, 4)[inside]
    made = {
        "trades": _lobster_trades(messages[inside], ts[inside]),
        "quotes": _lobster_quotes(ladder, ts[inside]),
        "depth": _lobster_depth(ladder, ts[inside]),
    }
    return made, int((~inside).sum())


def _lobster_trades(messages: NDArray[np.float64], ts: NDArray[Any]) -> pd.DataFrame:
    import pandas as pd

    done = np.isin(messages[:, 1], (EXECUTED, HIDDEN))
    kinds = np.where(messages[done, 1] == HIDDEN, "hidden", "")
    return pd.DataFrame(
        {
            "ts": ts[done],
            "price": messages[done, 4] / SCALE,
            "size": messages[done, 3],
            "exchange": "",
            "conditions": kinds,
        }
    )


def _lobster_quotes(ladder: NDArray[np.float64], ts: NDArray[Any]) -> pd.DataFrame:
    """Return the best bid and offer wherever it changed and both sides are there."""
    import pandas as pd

    best = ladder[:, 0, :]
    changed = np.ones(len(best), dtype=bool)
    changed[1:] = (best[1:] != best[:-1]).any(axis=1)
    told = changed & (best[:, 0] > 0) & (best[:, 2] > 0)
    return pd.DataFrame(
        {
            "ts": ts[told],
            "bid": best[told, 2] / SCALE,
            "bid_size": best[told, 3],
            "ask": best[told, 0] / SCALE,
            "ask_size": best[told, 1],
        }
    )


def _lobster_depth(ladder: NDArray[np.float64], ts: NDArray[Any]) -> pd.DataFrame:
    """Return one row for every level that an event changed: update, or delete of an empty one."""
    import pandas as pd

    sides = np.stack((ladder[:, :, 2:], ladder[:, :, :2]), axis=1)  # events, bid|ask, level, 2
    changed = np.ones(sides.shape[:3], dtype=bool)
    changed[1:] = (sides[1:] != sides[:-1]).any(axis=3)
    if len(sides):
        changed[0] = sides[0, :, :, 0] > 0
    event, side, level = np.nonzero(changed)
    price, size = sides[event, side, level, 0], sides[event, side, level, 1]
    return pd.DataFrame(
        {
            "ts": ts[event],
            "side": np.where(side == 0, "bid", "ask"),
            "position": level,
            "operation": np.where(price > 0, "update", "delete"),
            "price": price / SCALE,
            "size": size,
            "maker": "",
        }
    )


def _table(path: Path) -> NDArray[np.float64]:
    import pandas as pd

    try:
        frame = pd.read_csv(path, header=None)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}") from error
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    bad = np.argwhere(~np.isfinite(values[:, :6] if "message" in path.name else values))
    if len(bad):
        row, column = bad[0]
        raise InvalidInput(
            f"{path.name}: row {row + 1}, column {column + 1}: {frame.iloc[row, column]!r} is no "
            "number; correct the file"
        )
    return values
