"""Tables that forget nothing: a replaced or withdrawn row moves to <table>_history.

Every row has `known_at`, when it was learnt, and a row of the history `replaced_at`, when it ceased
to be what was known (UTC). So a table can be read as it was known at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput
from warehouse.market.ranking import BROKER, outranked, outranks, rank_of
from warehouse.market.staging import ArrowTable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class MergeResult:
    """How many rows a merge added, changed (revisions) and found as they were.

    `kept` differ from what a better source brought, which stays (`ranking`).
    """

    added: int
    changed: int
    unchanged: int
    kept: int = 0

    def __add__(self, other: MergeResult) -> MergeResult:
        """Sum up two merges."""
        return MergeResult(
            self.added + other.added,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.kept + other.kept,
        )


@dataclass(frozen=True, slots=True)
class VersionedTable:
    """A table with a history: its name, its key columns and its value columns.

    A better source replaces what a lower one brought whenever that was learnt: where it was later,
    the lower one's row was never what was known, and its time in the history is empty. In a
    `ranked` table a lower source does not replace what a better one brought.
    """

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    ranked: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a reader is shown, without source and known_at."""
        return (*self.keys, *self.values)

    def known(self, as_of: datetime | None) -> str:
        """Return a query for the rows known at $as_of, with source and known_at; None is now.

        With a moment, `$as_of` must be given to the query as naive UTC.
        """
        shown = ", ".join((*self.columns, "source", "known_at"))
        present = f"SELECT {shown} FROM {self.name}"  # noqa: S608 - names are ours
        if as_of is None:
            return present
        return (
            f"{present} WHERE known_at <= $as_of UNION ALL "  # noqa: S608
            f"SELECT {shown} FROM {self.name}_history "
            "WHERE known_at <= $as_of AND replaced_at > $as_of"
        )

    def merge(
        self, connection: DuckDBPyConnection, staged: ArrowTable, source: str, moment: datetime
    ) -> MergeResult:
        """Merge the staged rows (this table's columns), learnt at `moment` (naive UTC).

        Raises InvalidInput when a stored row of no lower source differs and was learnt later.
        """
        if staged.num_rows == 0:
            return MergeResult(0, 0, 0)
        connection.register("staged", staged)
        try:
            replaced = self._replaced_by(source)
            self._require_in_order(connection, source, moment)
            before, kept = self._count(connection), self._kept(connection, source)
            changed = self._archive(
                connection, f"JOIN staged {self._using} WHERE {replaced}", moment
            )
            values = {"source": source, "known_at": moment}
            connection.execute(self._merge_text(replaced), values)
            added = self._count(connection) - before
        finally:
            connection.unregister("staged")
        return MergeResult(added, changed, staged.num_rows - added - changed - kept, kept)

    def withdraw_others(
        self,
        connection: DuckDBPyConnection,
        staged: ArrowTable,
        scope: tuple[str, Sequence[str]],
        moment: datetime,
    ) -> int:
        """Move to the history the rows whose column `scope[0]` is in `scope[1]` but not staged.

        Raises InvalidInput when one of them was learnt later than `moment` (naive UTC).
        """
        connection.register("staged", staged)
        try:
            gone = (
                f"WHERE list_contains($scope::VARCHAR[], kept.{scope[0]}) AND NOT EXISTS "  # noqa: S608
                f"(SELECT 1 FROM staged WHERE {self._same})"
            )
            wanted: dict[str, object] = {"scope": list(scope[1])}
            newer = connection.execute(
                f"SELECT COUNT(*), MAX(kept.known_at), ANY_VALUE(kept.{self.keys[0]}) "  # noqa: S608
                f"FROM {self.name} AS kept {gone} AND kept.known_at > $moment",
                wanted | {"moment": moment},
            ).fetchone()
            require_none_newer(newer, self.name, moment)
            count = self._archive(connection, gone, moment, wanted)
            connection.execute(f"DELETE FROM {self.name} AS kept {gone}", wanted)  # noqa: S608
        finally:
            connection.unregister("staged")
        return count

    @property
    def _using(self) -> str:
        return f"USING ({', '.join(self.keys)})"

    @property
    def _same(self) -> str:
        return " AND ".join(f"kept.{key} = staged.{key}" for key in self.keys)

    @property
    def _differs(self) -> str:
        kept = ", ".join(f"kept.{name}" for name in self.values)
        staged = ", ".join(f"staged.{name}" for name in self.values)
        return f"({kept}) IS DISTINCT FROM ({staged})"

    def _replaced_by(self, source: str) -> str:
        """Return the condition on which a staged row of `source` replaces the kept one."""
        if not self.ranked:
            return self._differs
        return f"{self._differs} AND NOT ({outranks('kept.source', source)})"

    def _kept(self, connection: DuckDBPyConnection, source: str) -> int:
        """Return how many staged rows differ from a better source's."""
        if not self.ranked or rank_of(source) == BROKER:
            return 0
        row = connection.execute(
            f"SELECT COUNT(*) FROM {self.name} AS kept JOIN staged {self._using} "  # noqa: S608
            f"WHERE {self._differs} AND {outranks('kept.source', source)}"
        ).fetchone()
        return int(row[0]) if row else 0

    def _merge_text(self, replaced: str) -> str:
        updates = ", ".join(f"{name} = staged.{name}" for name in self.values)
        names = ", ".join(self.columns)
        values = ", ".join(f"staged.{name}" for name in self.columns)
        return (
            f"MERGE INTO {self.name} AS kept USING staged ON {self._same} "  # noqa: S608
            f"WHEN MATCHED AND {replaced} THEN UPDATE SET {updates}, source = $source, "
            f"known_at = $known_at WHEN NOT MATCHED THEN INSERT ({names}, source, known_at) "
            f"VALUES ({values}, $source, $known_at)"
        )

    def _require_in_order(
        self, connection: DuckDBPyConnection, source: str, moment: datetime
    ) -> None:
        """Refuse to replace newer knowledge, and to learn again what was withdrawn later."""
        late = (
            f"{self._replaced_by(source)} AND kept.known_at > $known_at "
            f"AND NOT ({outranked('kept.source', source)})"
        )
        found = connection.execute(
            f"SELECT COUNT(*), MAX(since), ANY_VALUE({self.keys[0]}) FROM ("  # noqa: S608
            f"SELECT kept.known_at AS since, kept.{self.keys[0]} "
            f"FROM {self.name} AS kept JOIN staged {self._using} "
            f"WHERE {late} UNION ALL "
            f"SELECT gone.replaced_at, gone.{self.keys[0]} "
            f"FROM {self.name}_history AS gone JOIN staged {self._using} "
            f"ANTI JOIN {self.name} AS kept {self._using} WHERE gone.replaced_at > $known_at)",
            {"known_at": moment},
        ).fetchone()
        require_none_newer(found, self.name, moment)

    def _archive(
        self,
        connection: DuckDBPyConnection,
        chosen: str,
        moment: datetime,
        wanted: dict[str, object] | None = None,
    ) -> int:
        shown = ", ".join(f"kept.{name}" for name in (*self.columns, "source", "known_at"))
        names = ", ".join((*self.columns, "source", "known_at", "replaced_at"))
        row = connection.execute(
            f"INSERT INTO {self.name}_history ({names}) SELECT {shown}, "  # noqa: S608
            "greatest($moment, kept.known_at) "
            f"FROM {self.name} AS kept {chosen}",
            {"moment": moment} | (wanted or {}),
        ).fetchone()
        return int(row[0]) if row else 0

    def _count(self, connection: DuckDBPyConnection) -> int:
        row = connection.execute(f"SELECT COUNT(*) FROM {self.name}").fetchone()  # noqa: S608
        return int(row[0]) if row else 0


def require_none_newer(found: tuple[Any, ...] | None, table: str, moment: datetime) -> None:
    """Raise InvalidInput unless `found` (count, the latest moment, whose) counts no row."""
    if found and found[0]:
        raise InvalidInput(
            f"{found[0]} rows of {table} differ from what was learnt later (of {found[2]} "
            f"at {found[1]} UTC, these at {moment} UTC); older knowledge replaces no newer: "
            "state when these were known (--known-at of a file), or begin with a new warehouse (a "
            "simulated gateway that was reset begins in 2022 again)"
        )
