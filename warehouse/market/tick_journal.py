"""Journals of arriving ticks: appended in batches that outlive a kill, then turned into Parquet.

A Parquet file has no meaning before its end is written, so ticks go to an Arrow stream first, which
is readable up to its last whole batch. A journal is locked while a recorder writes it; one that
nobody holds was left by a recorder that died.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from models.domain.errors import InvalidInput
from warehouse.lasting_names import make_folder, sync
from warehouse.market.staging import ArrowTable, arrow

SUFFIX = ".arrows"


class TickJournal:
    """One open journal of one kind of ticks."""

    def __init__(self, path: Path, schema: Any) -> None:
        """Create the file `path`, locked; raise InvalidInput when it is there or not writable."""
        self.path = path
        self.rows = 0
        try:
            make_folder(path.parent)
            self._file: BinaryIO = path.open("xb")
            sync(path.parent)
        except OSError as error:
            raise InvalidInput(
                f"the journal {path} cannot be written ({error}); see that its folder is writable "
                "and has room"
            ) from error
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._schema = schema
        self._writer: Any = arrow().ipc.new_stream(self._file, schema)

    def append(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write one batch of rows; when this returns, a crash of the machine cannot take it."""
        pa = arrow()
        batch = pa.record_batch(
            [pa.array(columns[field.name], type=field.type) for field in self._schema],
            schema=self._schema,
        )
        self._writer.write_batch(batch)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows += int(batch.num_rows)

    def close(self) -> None:
        """End the stream; the file stays until its rows are in Parquet."""
        self._writer.close()
        self._file.close()


def read_journal(path: Path) -> ArrowTable:
    """Return every whole batch of a journal, whether it was closed or its writer was killed."""
    pa = arrow()
    with path.open("rb") as file:
        try:
            reader: Any = pa.ipc.open_stream(file)
        except (pa.ArrowInvalid, OSError):  # killed before the schema was written
            return None
        batches: list[Any] = []
        while True:
            try:
                batches.append(reader.read_next_batch())
            except (StopIteration, pa.ArrowInvalid, OSError):
                break
        return pa.Table.from_batches(batches, schema=reader.schema)


def left_behind(folder: Path) -> list[Path]:
    """Return the journals in `folder` that no recorder holds, oldest first."""
    found: list[Path] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
        found.append(path)
    return found
