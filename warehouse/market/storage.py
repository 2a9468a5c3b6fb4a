"""Copies of the DuckDB file: taken while it is in use, verified, restored, rewritten smaller."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput, RetryLater
from warehouse.market.contents import TableContent, table_columns, table_contents, whole_content
from warehouse.market.exchange import ORDER
from warehouse.market.lake import LakeStore
from warehouse.market.schema import lacks_steps, migrate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from warehouse.market.connection import MarketStore

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """A verified copy of the warehouse: bytes, rows and one hash of all its content."""

    path: str
    size: int
    rows: dict[str, int]
    sha256: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that was put in the warehouse's place; `aside` is where the former file is."""

    place: str
    source: str
    aside: str
    rows: dict[str, int]
    sha256: str


@dataclass(frozen=True, slots=True)
class Compacted:
    """A file that was rewritten: bytes before and after; the content is the same."""

    place: str
    before: int
    after: int
    sha256: str


def require_file(store: MarketStore) -> None:
    """Raise InvalidInput for a lake, whose catalog and folder are kept by other means."""
    if isinstance(store, LakeStore):
        raise InvalidInput(
            "the warehouse is a lake, not a file: copy its catalog and its folder together, or "
            "use robo warehouse export and import"
        )


def backup_market(store: MarketStore, target: Path, progress: Progress) -> Backup:
    """Copy the file while nobody writes it, then read every row of the copy.

    Writers wait for the copying only. Raises InvalidInput when the target exists or cannot be
    written, or when the file is damaged.
    """
    require_file(store)
    if target.exists():
        raise InvalidInput(f"{target} exists; name another file, backups are never overwritten")
    draft = _draft(target)
    try:
        copy_file(store, draft)
        progress(f"copied {draft.stat().st_size / 1e6:,.1f} MB")
        contents = _verified(store, draft)
        target.hardlink_to(draft)
    except FileExistsError as error:
        raise InvalidInput(f"{target} exists; name another file") from error
    finally:
        draft.unlink(missing_ok=True)
    rows = {name: table.rows for name, table in contents.items()}
    return Backup(str(target), target.stat().st_size, rows, whole_content(contents))


def restore_market(
    store: MarketStore, source: Path, at: datetime, force: bool, progress: Progress
) -> Restored:
    """Put a backup in the place of the warehouse's file; a present one is kept beside it.

    Raises InvalidInput for a file that is no whole warehouse, or when there is one and not `force`.
    """
    require_file(store)
    if not source.is_file():
        raise InvalidInput(f"{source} is no file; name one that robo warehouse backup wrote")
    place = store.path
    if place.exists() and not force:
        raise InvalidInput(f"{place} exists; give --force to put it aside (it is kept)")
    draft = _draft(place)
    aside = ""
    try:
        shutil.copyfile(source, draft)
        contents = _verified(store, draft)
        progress("every row of the backup could be read")
        if place.exists():
            former = place.with_name(f"{place.name}.{at.astimezone(UTC):%Y%m%dT%H%M%SZ}")
            aside = str(former)
            with _held_if_usable(store):
                former.hardlink_to(place)
                log = Path(f"{place}.wal")
                if log.exists():
                    log.replace(Path(f"{former}.wal"))
                draft.replace(place)
        else:
            draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
    rows = {name: table.rows for name, table in contents.items()}
    return Restored(str(place), str(source), aside, rows, whole_content(contents))


def compact_market(store: MarketStore, progress: Progress) -> Compacted:
    """Write the file anew, rows sorted and dead space left out, and prove that nothing changed.

    Readers and writers go on meanwhile; the new file takes the place only if nobody wrote.
    Raises RetryLater when somebody did.
    """
    require_file(store)
    place = store.path
    copied, fresh = _draft(place), place.with_name(f".{place.name}.fresh")
    fresh.unlink(missing_ok=True)
    try:
        mark = copy_file(store, copied)
        before = copied.stat().st_size
        progress(f"copied {before / 1e6:,.1f} MB")
        contents = _rewritten(store, copied, fresh)
        with store.write():
            if file_mark(place) != mark:
                raise RetryLater(
                    f"{place} was written to meanwhile, so it was left as it is; run this again "
                    "when nothing is being ingested"
                )
            fresh.replace(place)
    finally:
        for file in (copied, fresh, Path(f"{copied}.wal"), Path(f"{fresh}.wal")):
            file.unlink(missing_ok=True)
    return Compacted(str(place), before, place.stat().st_size, whole_content(contents))


def copy_file(store: MarketStore, target: Path) -> tuple[int, int]:
    """Copy the file of a moment at which nobody writes; return the mark of its last change."""
    log = Path(f"{store.path}.wal")
    if log.exists():  # left by a writer that was killed: an opening folds it into the file
        with store.write():
            pass
    with store.read():
        mark = file_mark(store.path)
        shutil.copyfile(store.path, target)
        if log.exists():
            shutil.copyfile(log, Path(f"{target}.wal"))
    return mark


def _rewritten(store: MarketStore, copied: Path, fresh: Path) -> dict[str, TableContent]:
    before = _verified(store, copied)
    with store.opened(fresh, read_only=False) as connection:
        migrate(connection, str(fresh))
        quoted = str(copied).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS former (READ_ONLY)")
        for name, columns in table_columns(connection).items():
            keys = [key for key in ORDER if key in columns] or list(columns)
            names = ", ".join(f'"{column}"' for column in columns)
            connection.execute(
                f"INSERT INTO {name} ({names}) SELECT {names} FROM former.{name} "  # noqa: S608
                f"ORDER BY {', '.join(keys)}"
            )
        connection.execute("DETACH former")
        after = table_contents(connection)
    if after != before:
        raise InvalidInput(f"the rewritten copy of {store.path} differs; it was left as it is")
    return after


def _verified(store: MarketStore, path: Path) -> dict[str, TableContent]:
    """Read every row of a copy; bring a copy of an older schema up to date first."""
    with store.opened(path, read_only=True) as connection:
        if not lacks_steps(connection, str(path)):
            return table_contents(connection)
    with store.opened(path, read_only=False) as connection:
        migrate(connection, str(path))
        return table_contents(connection)


@contextmanager
def _held_if_usable(store: MarketStore) -> Generator[DuckDBPyConnection | None, None, None]:
    """Hold the present file against others; a damaged one is put aside without."""
    try:
        holding = store.write()
        connection = holding.__enter__()
    except InvalidInput:
        yield None
        return
    try:
        yield connection
    finally:
        holding.__exit__(None, None, None)


def _draft(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{target.parent} cannot be made ({error.strerror})") from error
    return target.with_name(f".{target.name}.{os.getpid()}.draft")


def file_mark(path: Path) -> tuple[int, int]:
    """Return what a change of the file changes: its time of writing (ns) and size (bytes)."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size
