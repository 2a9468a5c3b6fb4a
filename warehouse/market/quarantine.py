"""Rows that were refused: kept with the reason, listed, and released by a person.

A row's id is the start of the SHA-256 of its table and its content: refusing it again keeps one
entry, and what a person has released is known when it comes again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.staging import stage

if TYPE_CHECKING:
    import pandas as pd

ID_LENGTH = 16
TIME_COLUMNS = ("ts", "session", "ex_date", "valid_from")

_GIVEN = "id, table_name, symbol, moment, content, expectation, reason, source, run_id, refused_at"
_COLUMNS = f"{_GIVEN}, released_at, released_by, release_reason"
_INSERT = (
    f"INSERT INTO quarantine SELECT {_GIVEN}, NULL, NULL, NULL FROM "  # noqa: S608 - names are ours
    "(SELECT DISTINCT ON (id) * FROM staged) ANTI JOIN quarantine USING (id)"
)
_LIST = (
    f"SELECT {_COLUMNS} FROM quarantine "  # noqa: S608 - names are ours
    "WHERE ($table IS NULL OR table_name = $table) AND ($symbol IS NULL OR symbol = $symbol) "
    "AND ($run IS NULL OR run_id = $run) AND ($everything OR released_at IS NULL) "
    "ORDER BY refused_at DESC, table_name, symbol, moment, id LIMIT $most"
)


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One refused row; `content` are its values by column name, moments are UTC."""

    id: str
    table: str
    symbol: str
    moment: datetime | None
    content: dict[str, Any]
    expectation: str
    reason: str
    source: str
    run_id: str
    refused_at: datetime
    released_at: datetime | None
    released_by: str
    release_reason: str


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A refused row that nobody has let in, without its content; the moment is UTC."""

    id: str
    symbol: str
    moment: datetime | None


class Quarantine:
    """The refused rows of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def add(
        self,
        table: str,
        rows: pd.DataFrame,
        reasons: Sequence[str],
        run_id: str,
        at: datetime,
        *,
        expectations: Sequence[str] | None = None,
        source: str = "",
    ) -> int:
        """Keep refused rows (any columns), each with its reason; return how many are new.

        `expectations` names what each row failed (default: its reason). `at` is UTC. A row that is
        there already, released or not, is left as it is. Raises InvalidInput when the lengths
        differ, RetryLater when the file stays locked.
        """
        failed = list(reasons if expectations is None else expectations)
        if not len(rows) == len(reasons) == len(failed):
            raise InvalidInput(
                f"{len(rows)} refused rows of {table} came with {len(reasons)} reasons and "
                f"{len(failed)} expectations; give one of each a row"
            )
        if rows.empty:
            return 0
        contents = contents_of(rows)
        staged = stage(
            {
                "id": ("text", [row_id(table, content) for content in contents]),
                "table_name": ("text", [table] * len(rows)),
                "symbol": ("text", _texts(rows, "symbol")),
                "moment": ("moment", _moments(rows)),
                "content": ("text", contents),
                "expectation": ("text", failed),
                "reason": ("text", list(reasons)),
                "source": ("text", [source] * len(rows)),
                "run_id": ("text", [run_id] * len(rows)),
                "refused_at": ("moment", [at] * len(rows)),
            }
        )
        with self._store.write() as connection:
            connection.register("staged", staged)
            added = connection.execute(_INSERT).fetchone()
        return int(added[0]) if added else 0

    def rows(
        self,
        table: str | None = None,
        symbol: str | None = None,
        run_id: str | None = None,
        *,
        with_released: bool = False,
        most: int = 1_000_000,
    ) -> tuple[QuarantinedRow, ...]:
        """Return refused rows, newest first: of one table, symbol or run when these are given."""
        wanted = {
            "table": table,
            "symbol": symbol,
            "run": run_id,
            "everything": with_released,
            "most": most,
        }
        with self._store.read() as connection:
            found = connection.execute(_LIST, wanted).fetchall()
        return tuple(_row(values) for values in found)

    def waiting(self, table: str) -> tuple[WaitingRow, ...]:
        """Return every row of `table` that waits, without what it holds."""
        query = (
            "SELECT id, symbol, moment FROM quarantine "
            "WHERE table_name = ? AND released_at IS NULL ORDER BY id"
        )
        with self._store.read() as connection:
            found = connection.execute(query, [table]).fetchall()
        return tuple(WaitingRow(str(row), str(name), _aware(at)) for row, name, at in found)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many rows wait by (table, symbol)."""
        query = (
            "SELECT table_name, symbol, COUNT(*) FROM quarantine WHERE released_at IS NULL "
            "GROUP BY ALL ORDER BY ALL"
        )
        with self._store.read() as connection:
            found = connection.execute(query).fetchall()
        return {(str(table), str(symbol)): int(rows) for table, symbol, rows in found}

    def count(self) -> int:
        """Return how many refused rows wait for a person."""
        query = "SELECT COUNT(*) FROM quarantine WHERE released_at IS NULL"
        with self._store.read() as connection:
            found = connection.execute(query).fetchone()
        return int(found[0]) if found else 0

    def find(self, ids: Sequence[str]) -> tuple[QuarantinedRow, ...]:
        """Return the rows of `ids` (or of unique beginnings of ids, at least 6 characters).

        Raises InvalidInput that names every id that fits none or several.
        """
        found: dict[str, QuarantinedRow] = {}
        wrong: list[str] = []
        query = f"SELECT {_COLUMNS} FROM quarantine WHERE starts_with(id, ?) LIMIT 2"  # noqa: S608
        with self._store.read() as connection:
            for wanted in ids:
                rows = connection.execute(query, [wanted]).fetchall() if len(wanted) > 5 else []
                if len(rows) == 1:
                    found[str(rows[0][0])] = _row(rows[0])
                else:
                    wrong.append(wanted)
        if wrong:
            raise InvalidInput(
                f"no single refused row has the id {', '.join(wrong)}; "
                "`robo data quarantine list` shows them (6 characters or more are enough)"
            )
        return tuple(found.values())

    def mark_released(self, ids: Sequence[str], by: str, reason: str, at: datetime) -> int:
        """Note who let rows through, why and when (UTC); return how many were still waiting."""
        query = (
            "UPDATE quarantine SET released_at = ?, released_by = ?, release_reason = ? "
            "WHERE list_contains(?::VARCHAR[], id) AND released_at IS NULL"
        )
        with self._store.write() as connection:
            done = connection.execute(query, [utc_naive(at), by, reason, list(ids)]).fetchone()
        return int(done[0]) if done else 0

    def released_ids(self, table: str) -> frozenset[str]:
        """Return the ids of the rows of `table` that a person has let through."""
        query = "SELECT id FROM quarantine WHERE table_name = ? AND released_at IS NOT NULL"
        with self._store.read() as connection:
            return frozenset(str(row[0]) for row in connection.execute(query, [table]).fetchall())


def row_id(table: str, content: str) -> str:
    """Return the id of a row of `table` whose values are the JSON `content`."""
    return hashlib.sha256(f"{table}\n{content}".encode()).hexdigest()[:ID_LENGTH]


def contents_of(rows: pd.DataFrame) -> list[str]:
    """Return every row as JSON, keys sorted; NaN and infinities are kept as text."""
    columns = [_values(rows[name]) for name in rows.columns]
    names = [str(name) for name in rows.columns]
    return [
        json.dumps(dict(zip(names, map(_plain, values), strict=True)), sort_keys=True)
        for values in zip(*columns, strict=True)
    ]


def _values(column: pd.Series) -> list[Any]:
    """Return a column's values; what is missing among texts and dates becomes None."""
    values: list[Any] = column.tolist()
    if column.dtype.kind in "fiu":
        return values
    return [
        None if missing else value for missing, value in zip(column.isna(), values, strict=True)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _texts(rows: pd.DataFrame, name: str) -> list[str]:
    if name not in rows:
        return [""] * len(rows)
    return [value if isinstance(value, str) else "" for value in rows[name].tolist()]


def _moments(rows: pd.DataFrame) -> list[datetime | None]:
    """Return each row's own time (UTC) from the first time column that it has."""
    name = next((name for name in TIME_COLUMNS if name in rows), None)
    return [None] * len(rows) if name is None else [_moment(v) for v in _values(rows[name])]


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        moment: datetime = value
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None


def _row(values: tuple[Any, ...]) -> QuarantinedRow:
    (row, table, symbol, moment, content, failed, reason, source, run, refused, at, by, why) = (
        values
    )
    return QuarantinedRow(
        id=row,
        table=table,
        symbol=symbol,
        moment=_aware(moment),
        content=json.loads(content),
        expectation=failed,
        reason=reason,
        source=source,
        run_id=run,
        refused_at=refused.replace(tzinfo=UTC),
        released_at=_aware(at),
        released_by=by or "",
        release_reason=why or "",
    )


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
