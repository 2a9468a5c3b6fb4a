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
from typing import TYPE_CHECKING

import numpy as np

from models.domain.errors import InvalidInput
from models.domain.sessions import TradingSession, at_exchange_time, session_on
from tasks.market_data.lobster_files import read_lobster
from tasks.quality.batches import validate_ticks
from warehouse.market.ticks import TickFiles, schema_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from warehouse.market import MarketWarehouse

LEAN_NAME = re.compile(r"(\d{8})_(trade|quote)\.zip", re.IGNORECASE)
LOBSTER_NAME = re.compile(r"([A-Za-z.]+)_(\d{4}-\d{2}-\d{2})_.*_?message_?.*\.csv")
SCALE = 10_000.0  # file prices per USD
CHUNK = 500_000  # rows


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


@dataclass(frozen=True, slots=True)
class TickTarget:
    """Where ticks go: the folder, the warehouse with the quarantine, the rules; `now` is UTC."""

    files: TickFiles
    warehouse: MarketWarehouse
    policy: Path | None
    now: datetime

    def write(
        self, kind: str, rows: pd.DataFrame, session: TradingSession, name: str,
        dropped: dict[str, int],
    ) -> int:  # fmt: skip
        """Judge rows, quarantine the bad ones and write the others; return how many these are."""
        from importlib import import_module

        rows = rows.assign(known_at=self.now.replace(tzinfo=None)).reset_index(drop=True)
        if kind != "depth" and len(rows):
            rows = self._judged(kind, rows, session, dropped)
        pa = import_module("pyarrow")
        table = pa.Table.from_pandas(rows, schema=schema_of(kind), preserve_index=False, safe=False)
        return self.files.write(kind, table, name).rows

    def _judged(
        self, kind: str, rows: pd.DataFrame, session: TradingSession, dropped: dict[str, int]
    ) -> pd.DataFrame:
        report = validate_ticks(kind, rows, [session], self.policy)
        report.require(f"{kind} of {rows['symbol'].iloc[0]} on {session.date}", rows)
        refused = [row.position for row in report.refused]
        self.warehouse.quarantine.add(
            kind,
            rows.iloc[refused].drop(columns=["known_at", "seq"]),
            [row.reason for row in report.refused],
            f"import-{self.now:%Y%m%dT%H%M%S}",
            self.now,
            expectations=[row.expectation for row in report.refused],
            source=str(rows["source"].iloc[0]),
        )
        dropped["quarantined"] = dropped.get("quarantined", 0) + len(refused)
        return rows.drop(index=refused)


def import_ticks(target: TickTarget, path: Path) -> Iterator[TickImport]:
    """Import a file, or every tick file below a folder, one after the other; twice is as once.

    Rows that fail the suite of their table go to quarantine. Raises InvalidInput for a file that
    is neither Lean's nor
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
        yield _import_lean(target, file)
    for file in pairs:
        yield _import_lobster(target, file)


def _import_lean(target: TickTarget, path: Path) -> TickImport:
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
        rows = rows.assign(source="lean", symbol=symbol, seq=np.arange(len(rows)) + kept)
        kept += target.write(kind, rows, session, f"lean-{number:04d}", dropped)
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
            for chunk in reader:
                _require_ticks(chunk, path)
                yield chunk
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{path.name} cannot be read as Lean's {kind} ({error}); give columns "
            f"{', '.join(names)}"
        ) from error


def _require_ticks(chunk: pd.DataFrame, path: Path) -> None:
    """Refuse Lean's minute bars: files of the same names, with a volume in the flag's place."""
    if not chunk["suspicious"].isin((0.0, 1.0)).all():
        raise InvalidInput(
            f"{path.name} in {path.parent.name} holds no ticks: its last column is no flag of 0 or "
            "1, as in Lean's minute bars; import those with robo ingest lean"
        )


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


def _import_lobster(target: TickTarget, path: Path) -> TickImport:
    named = LOBSTER_NAME.fullmatch(path.name)
    if named is None:
        raise InvalidInput(f"{path.name} is not named SYMBOL_YYYY-MM-DD_…_message_N.csv")
    symbol = named[1].upper()
    session = _session(date.fromisoformat(named[2]), path)
    made, outside = read_lobster(path, session)
    rows: dict[str, int] = {}
    dropped = {"events outside the session": outside}
    for kind, frame in made.items():
        whole = frame.assign(source="lobster", symbol=symbol, seq=np.arange(len(frame)))
        rows[kind] = target.write(kind, whole, session, "lobster", dropped)
    return TickImport(path.name, symbol, session.date, rows, dropped)


def _session(day: date, path: Path) -> TradingSession:
    session = session_on(day)
    if session is None:
        raise InvalidInput(f"{path.name}: the market is closed on {day}; correct the file's name")
    return session
