"""CSV and Parquet read in blocks, so that a file of any size needs bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from models.domain.errors import InvalidInput
from tasks.sources.csv_head import csv_head

SUFFIXES = (".csv", ".csv.gz", ".txt", ".tsv", ".parquet", ".pq")
CSV_BLOCK = 4 << 20  # bytes of text read at once; the reader runs up to 32 of them ahead
CSV_BLOCKS = 4  # given together: what is judged and merged at once
PARQUET_ROWS = 262_144

ArrowTable = Any  # pyarrow carries no types


def bar_files(path: Path) -> tuple[Path, ...]:
    """Return the file, or the bar files of a folder by name; InvalidInput when there is none."""
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise InvalidInput(f"there is no file or folder {path}; name one")
    found = tuple(sorted(file for file in path.rglob("*") if file.name.lower().endswith(SUFFIXES)))
    if not found:
        raise InvalidInput(f"no {', '.join(SUFFIXES)} file is in {path}; name another folder")
    return found


def symbol_of(path: Path) -> str:
    """Return the symbol that a file of one symbol is named by: its name up to the first suffix."""
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)].strip().upper()
    return path.stem.strip().upper()


def header_of(path: Path) -> tuple[str, ...]:
    """Return the names of the columns."""
    if _is_parquet(path):
        return tuple(_parquet(path).schema_arrow.names)
    for table in _csv(path, None, block=1 << 20):
        return tuple(table.column_names)
    raise InvalidInput(f"{path} is empty; name a file with a header and rows")


def blocks(path: Path, columns: Sequence[str]) -> Iterator[ArrowTable]:
    """Read the columns, block by block; CSV values stay text. Raises InvalidInput for bad files."""
    if _is_parquet(path):
        pa = import_module("pyarrow")
        for batch in _parquet(path).iter_batches(PARQUET_ROWS, columns=list(columns)):
            yield pa.Table.from_batches([batch])
    else:
        yield from _csv(path, columns)


def first_rows(path: Path, columns: Sequence[str], rows: int = 500) -> ArrowTable:
    """Return the first rows of the columns."""
    for table in blocks(path, columns):
        return table.slice(0, rows)
    raise InvalidInput(f"{path} has no rows; name a file that has")


def _is_parquet(path: Path) -> bool:
    return path.name.lower().endswith((".parquet", ".pq"))


def _parquet(path: Path) -> Any:
    parquet, pa = import_module("pyarrow.parquet"), import_module("pyarrow")
    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(
            f"{path} is no readable Parquet file ({error}); export it again"
        ) from error


def _csv(path: Path, columns: Sequence[str] | None, block: int = CSV_BLOCK) -> Iterator[ArrowTable]:
    csv, pa = import_module("pyarrow.csv"), import_module("pyarrow")
    head = csv_head(_first_lines(path))
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(head.names, pa.string()),
        include_columns=list(columns) if columns is not None else None,
        strings_can_be_null=True,
        null_values=["", "NA", "NaN", "nan", "null", "NULL", "None"],
    )
    read = csv.ReadOptions(block_size=block)
    if head.lines > 1:
        read = csv.ReadOptions(
            block_size=block, skip_rows=head.lines, column_names=list(head.names)
        )
    try:
        with csv.open_csv(
            path,
            read_options=read,
            parse_options=csv.ParseOptions(delimiter=head.delimiter),
            convert_options=convert,
        ) as reader:
            together: list[Any] = []
            for batch in reader:
                together.append(batch)
                if len(together) == CSV_BLOCKS:
                    yield pa.Table.from_batches(together)
                    together = []
            if together:
                yield pa.Table.from_batches(together)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path} cannot be read as a table ({error}); correct that row, or export it again as "
            "CSV with one header line"
        ) from error


def _first_lines(path: Path) -> list[str]:
    """Return the first three lines."""
    pa = import_module("pyarrow")
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            start = stream.read(1 << 20)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path} cannot be read ({error}); name another file") from error
    lines = start.decode("utf-8-sig", errors="replace").splitlines()[:3]
    if not lines or not lines[0].strip():
        raise InvalidInput(f"{path} is empty; name a file with a header line and rows")
    return lines
