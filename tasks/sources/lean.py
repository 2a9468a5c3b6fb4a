"""QuantConnect Lean's equity files: zips of daily and minute trades, and factor files.

Prices are whole ten-thousandths of a USD, times New York's; nothing is adjusted.
"""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.corporate_actions import ActionKind, CorporateAction
from models.domain.errors import InvalidInput
from models.domain.sessions import EXCHANGE_TZ, next_session
from tasks.sources.protocol import PRICES, BarBatch, Timeframe

if TYPE_CHECKING:
    import pandas as pd

    from tasks.sources.tickers import TickerBook

SCALE = 10_000.0
PLACES = 8  # decimals of a USD: no binary tails that would look like revisions
COLUMNS = ("time", *PRICES, "volume")
TRADES = "_trade.zip"
TOGETHER = 50  # files a batch: 50 symbols' days of minutes, or whole daily histories
LARGEST_DRIFT = 1e-4  # relative change of a factor that is rounding, not an action


@dataclass(frozen=True, slots=True)
class LeanFolder:
    """What a folder in Lean's layout holds."""

    daily: tuple[Path, ...]
    minutes: tuple[Path, ...]
    factors: tuple[Path, ...]

    @property
    def lines(self) -> list[str]:
        """For people."""
        days = f"{len(self.minutes)} symbol days"
        return [
            f"daily     {len(self.daily)} symbols, unadjusted",
            f"minutes   {days} of trades, New York time",
            f"factors   {len(self.factors)} symbols: splits and dividends",
        ]


def lean_folder(folder: Path) -> LeanFolder:
    """Find the files; raise InvalidInput when there are none of this layout."""
    found = LeanFolder(
        tuple(sorted(folder.glob("daily/*.zip"))),
        tuple(sorted(folder.glob(f"minute/*/*{TRADES}"))),
        tuple(sorted(folder.glob("factor_files/*.csv"))),
    )
    if not (found.daily or found.minutes or found.factors):
        raise InvalidInput(
            f"{folder} has no daily/*.zip, minute/*/*{TRADES} or factor_files/*.csv: name the "
            "folder that holds those, as in robo ingest lean Data/equity/usa"
        )
    return found


class LeanSource:
    """The daily and minute bars of a Lean folder."""

    name = "lean"

    def __init__(self, folder: LeanFolder, book: TickerBook) -> None:
        self._folder = folder
        self._book = book

    async def batches(self) -> AsyncIterator[BarBatch]:
        """Give files of one kind together: a batch costs more than the few bars of a file."""
        for files in (self._folder.daily, self._folder.minutes):
            for begin in range(0, len(files), TOGETHER):
                chosen = files[begin : begin + TOGETHER]
                place = f"files {begin + 1} to {begin + len(chosen)} of {len(files)}"
                yield await asyncio.to_thread(self._read_all, chosen, place)

    def _read_all(self, paths: Sequence[Path], place: str) -> BarBatch:
        import pandas as pd

        parts = [self._read(path) for path in paths]
        timeframe: Timeframe = "1m" if paths[0].name.endswith(TRADES) else "1d"
        return BarBatch(
            timeframe,
            pd.concat([known for known, _, _ in parts], ignore_index=True),
            f"bars of {timeframe}, {place}",
            pd.concat([foreign for _, foreign, _ in parts], ignore_index=True),
            tuple(reason for _, _, reasons in parts for reason in reasons),
        )

    def _read(self, path: Path) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
        is_minute = path.name.endswith(TRADES)
        symbol = (path.parent.name if is_minute else path.stem).upper()
        rows = read_zip(path)
        frame = rows.loc[:, [*PRICES]].astype("float64").div(SCALE).round(PLACES)
        frame["volume"], frame["symbol"] = rows["volume"], symbol
        if is_minute:
            frame["ts"] = minute_starts(rows["time"], path)
        else:
            frame["session"] = [_day(str(text)[:8], path) for text in rows["time"]]
        return self._book.resolve(frame)


def read_zip(path: Path) -> pd.DataFrame:
    """Return the rows of a zip's one CSV; raise InvalidInput for one that cannot be read."""
    import pandas as pd

    try:
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as stream:
            return pd.read_csv(stream, header=None, names=list(COLUMNS), dtype={"time": "string"})
    except (OSError, zipfile.BadZipFile, IndexError, ValueError) as error:
        raise InvalidInput(f"{path} is no zip of one CSV ({error}); fetch it again") from error


def minute_starts(milliseconds: pd.Series, path: Path) -> pd.Series:
    """Return the UTC starts of milliseconds since New York midnight of the day in a file's name."""
    import pandas as pd

    day = _day(path.name[:8], path)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=EXCHANGE_TZ)
    wall = pd.Timestamp(day) + pd.to_timedelta(milliseconds.astype("int64"), unit="ms")
    offset = noon.utcoffset() or timedelta()
    return (wall - offset).dt.tz_localize("UTC")


def read_actions(path: Path) -> tuple[CorporateAction, ...]:
    """Return the splits and dividends that a factor file stands for.

    Factors hold up to and including their date, so what changes to the next row happens on the
    next session. With the price factors f before and f' after, and the raw close P of that date,
    the dividend is P * (1 - f / f'); a split's ratio is that of the split factors. Raises
    InvalidInput for a file of another form.
    """
    rows = [line.split(",") for line in path.read_text().splitlines() if line.strip()]
    symbol = path.stem.upper()
    actions: list[CorporateAction] = []
    try:
        parsed = [(_day(r[0], path), *(float(cell) for cell in r[1:4])) for r in rows]
    except (ValueError, IndexError) as error:
        raise InvalidInput(f"{path} is no factor file ({error}); fetch it again") from error
    for (day, factor, split, close), (_, later, later_split, _) in pairwise(parsed):
        if day >= date(2050, 1, 1):
            break
        if abs(split / later_split - 1.0) > LARGEST_DRIFT:
            actions.append(_split(symbol, day, later_split / split))
        if later - factor > LARGEST_DRIFT * 1e-2 and close > 1.0:
            paid = round(close * (1.0 - factor / later), 6)
            ex_date = next_session(day).date
            actions.append(CorporateAction(symbol, ex_date, ActionKind.DIVIDEND, paid))
    return tuple(actions)


def _split(symbol: str, day: date, ratio: float) -> CorporateAction:
    """Return a split, its ratio as the simple fraction that the rounded factors stand for."""
    action = CorporateAction(symbol, next_session(day).date, ActionKind.SPLIT, ratio)
    simple = action.ratio.limit_denominator(50)
    if abs(float(simple) / ratio - 1.0) < 1e-3:
        ratio = float(simple)
    return CorporateAction(symbol, action.ex_date, ActionKind.SPLIT, ratio)


def _day(text: str, path: Path) -> date:
    try:
        return datetime.strptime(text[:8], "%Y%m%d").date()  # noqa: DTZ007
    except ValueError as error:
        raise InvalidInput(f"{path} names the day {text!r}; Lean writes YYYYMMDD") from error
