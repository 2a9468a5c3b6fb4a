"""Import ticks from files: Lean's tick archives and LOBSTER's pairs, into the Parquet folders.

Lean (QuantConnect): quotes tell one side at a time, so each side is carried forward; rows that
leave the market locked or crossed are dropped, and so are suspicious ones and those before the open
or after the close. LOBSTER (Huang & Polak, 2011): executions become trades, the best level quotes,
and every changed level a row of depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.sessions import TradingSession, at_exchange_time, session_on
from warehouse.market.ticks import TickFiles, schema_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LEAN_NAME = re.compile(r"(\d{8})_(trade|quote)\.zip", re.IGNORECASE)
LOBSTER_NAME = re.compile(r"([A-Za-z.]+)_(\d{4}-\d{2}-\d{2})_.*_?message_?.*\.csv")
SCALE = 10_000.0  # file prices per USD, in both
NO_PRICE = 9_999_999_999  # LOBSTER: a level without orders
CHUNK = 500_000  # rows
EXECUTED, HIDDEN = 4, 5


@dataclass(frozen=True, slots=True)
class TickImport:
    """What became of one file: rows by kind, and rows dropped by reason."""

    file: str
    symbol: str
    session: date
    rows: dict[str, int]
    dropped: dict[str, int]

    @property
    def summary(self) -> str:
        """One line for people."""
        kept = ", ".join(f"{count:,} {kind}" for kind, count in self.rows.items())
        gone = ", ".join(f"{count:,} {why}" for why, count in self.dropped.items() if count)
        return f"{self.file}: {self.symbol} {self.session}: {kept}" + (
            f"; dropped {gone}" if gone else ""
        )


def import_ticks(files: TickFiles, path: Path, now: datetime) -> Iterator[TickImport]:
    """Import a file, or every tick file below a folder, one after the other; twice is as once.

    `now` (UTC) becomes known_at. Raises InvalidInput for a file that is neither Lean's nor
    LOBSTER's, and for one whose rows cannot be read, by name and row.
    """
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    wanted = [file for file in found if LEAN_NAME.fullmatch(file.name)]
    pairs = [file for file in found if LOBSTER_NAME.fullmatch(file.name)]
    if not wanted and not pairs:
        raise InvalidInput(
            f"{path} holds no ticks: give Lean's SYMBOL/YYYYMMDD_trade.zip or _quote.zip, or "
            "LOBSTER's SYMBOL_YYYY-MM-DD_…_message_N.csv beside its …_orderbook_N.csv"
        )
    for file in wanted:
        yield _import_lean(files, file, now)
    for file in pairs:
        yield _import_lobster(files, file, now)


def _import_lean(files: TickFiles, path: Path, now: datetime) -> TickImport:
    named = LEAN_NAME.fullmatch(path.name)
    if named is None:
        raise InvalidInput(f"{path.name} is not named YYYYMMDD_trade.zip or YYYYMMDD_quote.zip")
    session = _session(datetime.strptime(named[1], "%Y%m%d").replace(tzinfo=UTC).date(), path)
    symbol = path.parent.name.upper()
    kind = "trades" if named[2].lower() == "trade" else "quotes"
    dropped: dict[str, int] = {}
    kept = 0
    sides = np.zeros(4)  # the last bid, its size, ask and its size
    for number, chunk in enumerate(_lean_rows(path, kind)):
        if kind == "trades":
            rows = _lean_trades(chunk, session, dropped)
        else:
            rows, sides = _lean_quotes(chunk, session, sides, dropped)
        rows = rows.assign(known_at=now.replace(tzinfo=None), source="lean", symbol=symbol)
        rows["seq"] = np.arange(kept, kept + len(rows))
        kept += files.write(kind, _arrow(kind, rows), f"lean-{number:04d}").rows
    return TickImport(path.name, symbol, session.date, {kind: kept}, dropped)


def _lean_rows(path: Path, kind: str) -> Iterator[pd.DataFrame]:
    """Yield the rows of one archive in chunks, conditions as text: they are hexadecimal."""
    import pandas as pd

    own = ("price", "size") if kind == "trades" else ("bid", "bid_size", "ask", "ask_size")
    names = ["ms", *own, "exchange", "conditions", "suspicious"]
    texts = {"exchange": "string", "conditions": "string"}
    try:
        with pd.read_csv(
            path, header=None, names=names, chunksize=CHUNK, compression="zip",
            dtype=texts | dict.fromkeys(("ms", "suspicious", *own), "float64"),
        ) as reader:  # fmt: skip
            yield from reader
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{path.name} cannot be read as Lean's {kind} ({error}); give columns "
            f"{', '.join(names)}"
        ) from error


def _lean_trades(
    chunk: pd.DataFrame, session: TradingSession, dropped: dict[str, int]
) -> pd.DataFrame:
    rows = _in_hours(chunk, session, dropped)
    rows = _without(rows, rows["suspicious"] != 0, "suspicious", dropped)
    bad = ~((rows["price"] > 0) & (rows["size"] >= 0))
    rows = _without(rows, bad, "without a price", dropped)
    return rows.assign(price=rows["price"] / SCALE)


def _lean_quotes(
    chunk: pd.DataFrame, session: TradingSession, sides: NDArray[np.float64],
    dropped: dict[str, int],
) -> tuple[pd.DataFrame, NDArray[np.float64]]:  # fmt: skip
    """Return whole quotes and the sides to go on with; a zero price is a side that stays."""
    import pandas as pd

    rows = _without(chunk, chunk["suspicious"] != 0, "suspicious", dropped)
    for number, side in ((0, "bid"), (2, "ask")):
        told = rows[side] > 0
        for place, name in ((number, side), (number + 1, f"{side}_size")):
            values = rows[name].where(told).ffill().fillna(sides[place])
            rows = rows.assign(**{name: values})
            if len(values):
                sides[place] = values.iloc[-1]
    rows = _in_hours(rows, session, dropped)
    one_sided = (rows["bid"] <= 0) | (rows["ask"] <= 0)
    rows = _without(rows, one_sided, "before both sides were known", dropped)
    rows = _without(rows, rows["bid"] == rows["ask"], "locked", dropped)
    rows = _without(rows, rows["bid"] > rows["ask"], "crossed", dropped)
    prices = {name: pd.Series(rows[name] / SCALE) for name in ("bid", "ask")}
    return rows.assign(**prices), sides


def _in_hours(rows: pd.DataFrame, session: TradingSession, dropped: dict[str, int]) -> pd.DataFrame:
    import pandas as pd

    midnight = np.datetime64(at_exchange_time(session.date, 0).replace(tzinfo=None), "us")
    ts = pd.Series(midnight + (rows["ms"].to_numpy() * 1e3).astype("timedelta64[us]"), rows.index)
    rows = rows.assign(ts=ts)
    before = ts < pd.Timestamp(session.open.replace(tzinfo=None))
    after = ts >= pd.Timestamp(session.close.replace(tzinfo=None))
    rows = _without(rows, before, "before the open", dropped)
    return _without(rows, after[~before], "after the close", dropped)


def _without(
    rows: pd.DataFrame, gone: pd.Series, why: str, dropped: dict[str, int]
) -> pd.DataFrame:
    dropped[why] = dropped.get(why, 0) + int(gone.sum())
    return rows[~gone]


def _import_lobster(files: TickFiles, path: Path, now: datetime) -> TickImport:
    named = LOBSTER_NAME.fullmatch(path.name)
    if named is None:
        raise InvalidInput(f"{path.name} is not named SYMBOL_YYYY-MM-DD_…_message_N.csv")
    book = path.with_name(path.name.replace("message", "orderbook"))
    if not book.is_file():
        raise InvalidInput(f"{book.name} is missing beside {path.name}; LOBSTER gives both")
    symbol = named[1].upper()
    session = _session(date.fromisoformat(named[2]), path)
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
    head = {"known_at": now.replace(tzinfo=None), "source": "lobster", "symbol": symbol}
    ladder = np.where(np.abs(levels) >= NO_PRICE, 0, levels).reshape(len(levels), -1, 4)[inside]
    made = {
        "trades": _lobster_trades(messages[inside], ts[inside]),
        "quotes": _lobster_quotes(ladder, ts[inside]),
        "depth": _lobster_depth(ladder, ts[inside]),
    }
    rows: dict[str, int] = {}
    for kind, frame in made.items():
        whole = frame.assign(**head, seq=np.arange(len(frame)))
        rows[kind] = files.write(kind, _arrow(kind, whole), "lobster").rows
    outside = {"events outside the session": int((~inside).sum())}
    return TickImport(path.name, symbol, session.date, rows, outside)


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


def _session(day: date, path: Path) -> TradingSession:
    session = session_on(day)
    if session is None:
        raise InvalidInput(f"{path.name}: the market is closed on {day}; correct the file's name")
    return session


def _arrow(kind: str, rows: pd.DataFrame) -> Any:
    from importlib import import_module

    pa = import_module("pyarrow")
    return pa.Table.from_pandas(rows, schema=schema_of(kind), preserve_index=False, safe=False)
