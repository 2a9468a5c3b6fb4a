"""Arrow tables, made before the file is opened, so that it is held for the merge alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from warehouse.market.connection import MarketStore, utc_naive

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection

ArrowTable = Any  # pyarrow carries no types
PLACES = Decimal("1E-8")


def arrow() -> Any:
    """Import pyarrow when it is first needed: it is slow to load."""
    return import_module("pyarrow")


def stage(columns: Mapping[str, tuple[str, Sequence[Any]]]) -> ArrowTable:
    """Return an Arrow table of `columns`: name to (kind, values).

    Kinds are text, date, moment (timezone-aware), float, shares, flag and money (Decimal, kept to
    1e-8). Raises InvalidInput for a value that does not fit its kind.
    """
    pa = arrow()
    kinds: dict[str, Any] = {
        "text": pa.string(),
        "date": pa.date32(),
        "moment": pa.timestamp("us"),
        "float": pa.float64(),
        "shares": pa.int64(),
        "flag": pa.bool_(),
        "money": pa.decimal128(24, 8),
    }
    arrays: dict[str, Any] = {}
    for name, (kind, values) in columns.items():
        try:
            arrays[name] = pa.array([_plain(value) for value in values], type=kinds[kind])
        except (pa.ArrowException, TypeError, ValueError, ArithmeticError) as error:
            raise InvalidInput(
                f"column {name} holds a value that is no {kind} ({error}); correct it upstream"
            ) from error
    return pa.table(arrays)


def replace_rows(store: MarketStore, table: str, staged: ArrowTable, keys: Sequence[str]) -> None:
    """Insert the staged rows into `table`, each in the place of the row with the same `keys`."""
    with store.write() as connection:
        connection.register("staged", staged)
        connection.execute(merge_statement(table, staged, keys))


def merge_statement(table: str, staged: ArrowTable, keys: Sequence[str]) -> str:
    """Return the MERGE of the registered `staged` into `table`; it needs no key of the table."""
    names: list[str] = staged.column_names
    matches = " AND ".join(f"kept.{key} = staged.{key}" for key in keys)
    updates = ", ".join(f"{name} = staged.{name}" for name in names if name not in keys)
    values = ", ".join(f"staged.{name}" for name in names)
    return (
        f"MERGE INTO {table} AS kept USING staged ON {matches} "  # noqa: S608 - names are ours
        f"WHEN MATCHED THEN UPDATE SET {updates} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({values})"
    )


def read_frame(store: MarketStore, query: str, values: object = None) -> pd.DataFrame:
    """Return a query's rows as `fetch_frame` does; the file is closed before they are converted."""
    arrow()
    with store.read() as connection:
        found = fetch_table(connection, query, values)
    return as_frame(found)


def fetch_frame(connection: DuckDBPyConnection, query: str, values: object = None) -> pd.DataFrame:
    """Return a query's rows; DATE columns hold datetime.date, TIMESTAMP columns become UTC."""
    return as_frame(fetch_table(connection, query, values))


def as_frame(table: ArrowTable) -> pd.DataFrame:
    """Return the pandas frame of an Arrow table; columns of moments become UTC."""
    frame: pd.DataFrame = table.to_pandas()
    for name in frame.columns[frame.dtypes.astype(str).str.startswith("datetime64")]:
        frame[name] = frame[name].dt.tz_localize("UTC")
    return frame


def fetch_table(connection: DuckDBPyConnection, query: str, values: object = None) -> ArrowTable:
    """Return a query's rows as an Arrow table."""
    found: Any = connection.execute(query, values)
    return found.to_arrow_table()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value.quantize(PLACES, rounding=ROUND_HALF_EVEN)
    return utc_naive(value) if isinstance(value, datetime) else value
