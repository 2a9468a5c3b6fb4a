"""Numbered, checksummed, forward-only schema migrations for both databases.

A migration is a file `NNNN_name.sql`; it is applied once, in order, and never edited afterwards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models.domain.errors import InvalidInput

ROOT = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """One forward step of a schema: its number, name, SQL text and SHA-256 of that text."""

    version: int
    name: str
    sql: str
    checksum: str

    def statements(self) -> tuple[str, ...]:
        """Split the text into statements; comment lines are dropped."""
        lines = [line for line in self.sql.splitlines() if not line.lstrip().startswith("--")]
        parts = "\n".join(lines).split(";")
        return tuple(part.strip() for part in parts if part.strip())


@lru_cache(maxsize=8)
def load_migrations(folder: Path) -> tuple[Migration, ...]:
    """Return the migrations in `folder`, oldest first.

    Raises InvalidInput when the numbers are not 1, 2, 3, … without a gap.
    """
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        sql = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        found.append(Migration(int(number), name, sql, hashlib.sha256(sql.encode()).hexdigest()))
    if not found or [step.version for step in found] != list(range(1, len(found) + 1)):
        raise InvalidInput(
            f"the migrations in {folder} are not numbered 0001, 0002, … without a gap; "
            "restore the folder from the installed release"
        )
    return tuple(found)


def pending_migrations(
    known: tuple[Migration, ...], applied: dict[int, str], store: str
) -> tuple[Migration, ...]:
    """Return the steps that `store` still lacks; `applied` maps version to recorded checksum.

    Raises InvalidInput when the store was written by a newer version, or when a step that was
    applied differs from the one that this version carries.
    """
    newest = max(applied, default=0)
    if newest > len(known):
        raise InvalidInput(
            f"{store} was written by a newer version (schema {newest}, this version knows "
            f"{len(known)}); update Robo Trader, or name another file in the settings"
        )
    for step in known:
        recorded = applied.get(step.version)
        if recorded is not None and recorded != step.checksum:
            raise InvalidInput(
                f"{store} has schema step {step.version:04d}_{step.name} in another form than "
                "this version carries; install the version that wrote it, or restore a backup"
            )
    return tuple(step for step in known if step.version not in applied)
